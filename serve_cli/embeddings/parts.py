"""Interfaces for writing and reading the parts of an embedding folder in any format."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, Protocol

import numpy as np

from gluon_lifted.errors import RunError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

    import pyarrow as pa
    from numpy.typing import NDArray

    from serve_cli.sources.image_row import EmbeddedRows


@dataclass(frozen=True)
class Part:
    """A written part: the name of its file of embeddings, its rows, and how many of them have no embedding."""

    file: str
    rows: int
    failed: int


class PartWriter(Protocol):
    """Writes the parts of a folder in one format, by number."""

    def write(self, number: int, groups: Iterable[EmbeddedRows], claim: Callable[[], None]) -> Part:
        """Write a part. Call ``claim`` once it is complete, just before it is put in place. Raises `OSError`."""

    def finished(self, number: int) -> Part | None:
        """Return a part if it exists and is not damaged, else None."""


class PartRows(NamedTuple):
    """Some rows of a part.

    ``table`` has n rows: the text columns ``id``, ``path``, ``label`` and ``error``, some with a dictionary, and the
    requested carried columns. ``embedding``, (n, D), is NaN in rows that have an error.
    """

    table: pa.Table
    embedding: NDArray[np.float32]


class PartReader(Protocol):
    """Reads the parts of a folder in one format, by number. All methods raise `RunError` for a damaged part."""

    def check_files(self, count: int) -> None:
        """Raise if one of the first ``count`` parts is missing or there are files of other parts."""

    def check(self, number: int, rows: int) -> None:
        """Raise if a part's headers have unexpected columns, another number of rows, or impossible sizes."""

    def carried(self, number: int) -> pa.Schema:
        """Return the carried columns of a part. Raises as `check` does."""

    def read(self, number: int, rows: int, carried: pa.Schema | None = None) -> Iterator[PartRows]:
        """Read the rows of a part in chunks, without carried columns unless asked for. Raises as `check` does."""


def require_scales(scale: NDArray[np.float32], path: Path) -> None:
    """Raise `RunError` unless the scales of int8 rows are finite and not negative."""
    bad = np.flatnonzero(~(np.isfinite(scale) & (scale >= 0)))
    if len(bad):
        raise RunError(f"{path}: has a scale of {scale[bad[0]]}, expected a finite number, 0 or more; embed again.")
