"""What the readers of either format give: the rows of part files."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol

import numpy as np

from gluon_lifted.errors import RunError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from numpy.typing import NDArray


class PartRows(NamedTuple):
    """Some rows of a part.

    ``ids``, ``paths``, ``labels`` and ``errors`` (n,); ``embedding`` (n, D) is NaN in rows that have an error.
    """

    ids: Sequence[str | None]
    paths: Sequence[str | None]
    labels: Sequence[str | None]
    errors: Sequence[str | None]
    embedding: NDArray[np.float32]


class PartReader(Protocol):
    """The parts of a folder in one format, by number. All methods raise `RunError` for a damaged part."""

    def check_files(self, count: int) -> None:
        """Raise if there are files of other parts than the first ``count``, or one of those is missing."""

    def check(self, number: int, rows: int) -> None:
        """Raise if the headers of a part say other columns than expected, other rows, or sizes that cannot be."""

    def read(self, number: int, rows: int) -> Iterator[PartRows]:
        """The rows of a part, some at a time; raises as `check` does, too."""


def require_scales(scale: NDArray[np.float32], path: Path) -> None:
    """Raise `RunError` if a row of int8 would be multiplied by NaN, infinity or a negative number."""
    bad = np.flatnonzero(~(np.isfinite(scale) & (scale >= 0)))
    if len(bad):
        raise RunError(f"{path}: has a scale of {scale[bad[0]]}, expected a finite number from 0 on; embed again.")
