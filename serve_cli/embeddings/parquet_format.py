"""Parts as parquet files, one file per part."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from gluon_lifted.errors import RunError
from gluon_lifted.files import replaced_file
from gluon_lifted.parquet.page_claims import read_groups
from serve_cli.embeddings.arrow_table import to_table
from serve_cli.embeddings.checked_parquet import READ_ERRORS, CheckedParquet
from serve_cli.embeddings.part_columns import MANIFEST, own_columns, schema
from serve_cli.embeddings.part_formats import PARQUET
from serve_cli.embeddings.parts import Part, PartRows, require_scales
from serve_cli.embeddings.vectors import from_stored

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

    import pyarrow as pa
    from numpy.typing import NDArray

    from gluon_lifted.card import ModelCard
    from serve_cli.sources.image_row import EmbeddedRows


NUMBERS = {"embedding", "scale"}


class ParquetPartWriter:
    """Writes the parts of a folder; see `serve_cli.embeddings.parts.PartWriter`."""

    def __init__(self, folder: Path, card: ModelCard, dtype: str, extra: pa.Schema | None) -> None:
        self._folder, self._dtype = folder, dtype
        self._schema = schema(own_columns(card.dim, dtype), extra, card)

    def write(self, number: int, groups: Iterable[EmbeddedRows], claim: Callable[[], None]) -> Part:
        """Write a part's file and put it in place."""
        path = self._folder / PARQUET.part_name(number)
        with replaced_file(path) as temporary:
            part = self._fill(temporary, path.name, groups)
            claim()
        return part

    def finished(self, number: int) -> Part | None:
        """Return a part whose footer and errors can be read, else None."""
        path = self._folder / PARQUET.part_name(number)
        try:
            with path.open("rb") as file:
                read_groups(file, columns=0)
                with pq.ParquetFile(file) as part:
                    rows, errors = part.metadata.num_rows, part.read(["error"])["error"]
        except READ_ERRORS:
            return None
        return Part(path.name, rows, rows - errors.null_count)

    def _fill(self, path: Path, name: str, groups: Iterable[EmbeddedRows]) -> Part:
        rows = failed = 0
        # Only labels get a dictionary: numbers in embeddings rarely repeat.
        with (
            path.open("wb") as file,  # by Python, since pyarrow accepts only UTF-8 paths
            pq.ParquetWriter(
                file, self._schema, use_dictionary=["label"], compression="zstd", write_page_checksum=True
            ) as writer,
        ):
            for group in groups:
                writer.write_table(to_table(group, self._schema, self._dtype))
                rows += len(group.rows)
                failed += sum(error is not None for error in group.errors)
        return Part(name, rows, failed)


class ParquetPartReader:
    """Reads the parts of a folder; see `serve_cli.embeddings.parts.PartReader`."""

    def __init__(self, folder: Path, card: ModelCard, dtype: str) -> None:
        self._folder, self._card, self._own = folder, card, own_columns(card.dim, dtype)

    def check_files(self, count: int) -> None:
        """Raise `RunError` unless the folder has exactly the first ``count`` part files."""
        expected = {PARQUET.part_name(number) for number in range(count)}
        present = {path.name for path in PARQUET.files_in(self._folder)}
        missing, extra = sorted(expected - present), sorted(present - expected)
        if missing or extra:
            what = f"{missing[0]} is missing" if missing else f"{extra[0]} is not in {MANIFEST}"
            raise RunError(f"{self._folder}: {what} ({count} parts expected, {len(present)} found); embed again.")

    def check(self, number: int, rows: int) -> None:
        """Raise `RunError` unless the footer has the expected columns, ``rows`` rows and plausible sizes."""
        self._file(number, rows).count()

    def carried(self, number: int) -> pa.Schema:
        """Return the carried columns of a part. Raises as `check` does."""
        return self._file(number).carried()

    def read(self, number: int, rows: int, carried: pa.Schema | None = None) -> Iterator[PartRows]:
        """Read a part by row group. Raises as `check` does."""
        for table in self._file(number, rows).tables(carried):
            embedding = _matrix(table, self._card.dim, self._folder / PARQUET.part_name(number))
            yield PartRows(table.drop_columns(NUMBERS & set(table.column_names)), embedding)

    def _file(self, number: int, rows: int | None = None) -> CheckedParquet:
        return CheckedParquet(self._folder / PARQUET.part_name(number), self._own, self._card, rows)


def _matrix(table: pa.Table, dim: int, path: Path) -> NDArray[np.float32]:
    """Convert column ``embedding`` to (n, D) with NaN for null. It must be null exactly where there is an error."""
    lists = table["embedding"].combine_chunks()
    valid = np.asarray(lists.is_valid())
    lengths = np.asarray(pc.list_value_length(lists.drop_null()))
    if (lengths != dim).any() or (valid != np.asarray(table["error"].is_null())).any():
        raise RunError(f"{path}: has embeddings that are not {dim} numbers, or null without an error; embed again.")
    rows = np.full((len(lists), dim), np.nan, np.float32)
    rows[valid] = from_stored(np.asarray(lists.flatten()).reshape(-1, dim), _scale(table, valid, path))
    return rows


def _scale(table: pa.Table, valid: NDArray[np.bool_], path: Path) -> NDArray[np.float32] | None:
    """Return the scales of the int8 rows that have an embedding, or None for other types."""
    if "scale" not in table.column_names:
        return None
    if (np.asarray(table["scale"].is_valid()) != valid).any():
        raise RunError(f"{path}: has embeddings without a scale, or scales without an embedding; embed again.")
    scale: NDArray[np.float32] = np.asarray(table["scale"].drop_null())
    require_scales(scale, path)
    return scale
