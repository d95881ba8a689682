"""Part files of an embedding folder: what writes them and what reads them, in any format."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, Protocol

import numpy as np

from gluon_lifted.errors import RunError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from serve_cli.sources.image_row import EmbeddedRows


@dataclass(frozen=True)
class Part:
    """One part: the name of its file of embeddings, its rows, and how many of them have no embedding."""

    file: str
    rows: int
    failed: int


class PartWriter(Protocol):
    """Writes the parts of a folder in one format, by number."""

    def write(self, number: int, groups: Iterable[EmbeddedRows], claim: Callable[[], None]) -> Part:
        """Write a part; ``claim`` is called when it is complete, just before it is put in place. Raises `OSError`."""

    def finished(self, number: int) -> Part | None:
        """What is there of a part; None if nothing is, or it is damaged."""


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
    """Reads the parts of a folder in one format, by number. All methods raise `RunError` for a damaged part."""

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
