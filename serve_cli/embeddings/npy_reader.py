"""Parts in clip-retrieval's layout -> their rows in memory."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from gluon_lifted.errors import RunError
from serve_cli.embeddings.checked_parquet import CheckedParquet, texts
from serve_cli.embeddings.layout import MANIFEST
from serve_cli.embeddings.npy_file import open_numbers
from serve_cli.embeddings.npy_parts import FAILED, metadata_columns, npy_paths
from serve_cli.embeddings.part_rows import PartRows, require_scales
from serve_cli.embeddings.vectors import DTYPES, from_stored

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import pyarrow as pa
    from numpy.typing import NDArray

    from gluon_lifted.card import ModelCard


class NpyReader:
    """See `serve_cli.embeddings.part_rows.PartReader`.

    Images without an embedding come last in their part, with NaN, their error and no label, which this layout does not
    keep.
    """

    def __init__(self, folder: Path, card: ModelCard, dtype: str) -> None:
        self._folder, self._card, self._dtype = folder, card, dtype

    def check_files(self, count: int) -> None:
        """`check` meets all files."""

    def check(self, number: int, rows: int) -> None:
        known, failed = self._tables(number)
        numbers = self._numbers(number, known.count())
        if (found := len(numbers) + failed.count()) != rows:
            path = npy_paths(self._folder, number)[0]
            raise RunError(f"{path}: has {found} rows with its failures and {MANIFEST} says {rows}; embed again.")

    def read(self, number: int, rows: int) -> Iterator[PartRows]:
        self.check(number, rows)
        known, failed = self._tables(number)
        numbers, done = self._numbers(number, known.count()), 0
        for table in known.tables():
            scale = np.asarray(table["scale"]) if self._dtype == "int8" else None  # NaN for null
            if scale is not None:
                require_scales(scale, npy_paths(self._folder, number)[1])
            embedding = from_stored(numbers[done : done + len(table)], scale)
            done += len(table)
            nothing = [None] * len(table)
            yield PartRows(texts(table["id"]), texts(table["image_path"]), texts(table["label"]), nothing, embedding)
        for table in failed.tables():
            yield self._failures(table)

    def _failures(self, table: pa.Table) -> PartRows:
        missing = np.full((len(table), self._card.dim), np.nan, np.float32)
        paths, nothing = texts(table["image_path"]), [None] * len(table)
        return PartRows(texts(table["id"]), paths, nothing, texts(table["error"]), missing)

    def _tables(self, number: int) -> tuple[CheckedParquet, CheckedParquet]:
        _, metadata, failures = npy_paths(self._folder, number)
        return CheckedParquet(metadata, metadata_columns(self._dtype)), CheckedParquet(failures, list(FAILED))

    def _numbers(self, number: int, rows: int) -> NDArray[Any]:
        path, expected = npy_paths(self._folder, number)[0], (rows, self._card.dim)
        try:
            found = open_numbers(path)
        except (OSError, ValueError) as error:
            raise RunError(f"{path}: cannot be read ({error!s:.200}); embed again.") from None
        if found.shape != expected or found.dtype != DTYPES[self._dtype]:
            raise RunError(
                f"{path}: holds {found.shape} of {found.dtype}, expected {expected} of {self._dtype}; embed again."
            )
        return found
