"""Read parquet files row by row in bounded memory."""

from __future__ import annotations

import os
from contextlib import contextmanager
from itertools import chain, islice
from typing import TYPE_CHECKING, Any, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from gluon_lifted.errors import DataError
from gluon_lifted.parquet.page_memory import (
    BUFFER_BYTES,
    READ_ROWS,
    Chunk,
    ColumnMemory,
    column_memory,
    largest,
    read_chunks,
    together,
)
from serve_cli.embeddings.fixed_lists import has_fixed_lists, restored, without_sizes
from serve_cli.sources.image_row import Cell
from serve_cli.sources.location import is_remote, open_file, reading
from serve_cli.sources.source import ReadingMemory
from serve_cli.sources.tables.table import TableReader

if TYPE_CHECKING:
    from collections.abc import Iterator

    from serve_cli.sources.location import Location

REMOTE_PAGES = 2  # page headers read per column chunk, since each costs a request


class ParquetTableReader(TableReader):
    """Reads as many rows of a column at a time as fit in bounded memory; see `TableReader`."""

    def schema(self, path: Location) -> pa.Schema:
        """Return the file's columns. Raises `DataError` if a name occurs twice or the file cannot be read."""
        with _opened(path) as opened:
            if len(set(opened.schema.names)) < len(opened.schema.names):
                raise DataError(f"{path}: has a column more than once: {opened.schema.names}; rename it.")
            return opened.schema

    def count(self, path: Location) -> int:
        """Return the number of rows in the footer."""
        with _opened(path) as opened:
            return int(opened.table.metadata.num_rows)

    def memory(self, path: Location, names: list[str], carried: list[str]) -> ReadingMemory:
        """Compute the peak memory of reading some columns. Rows keep the ``carried`` ones."""
        with _opened(path) as opened:
            most, kept = ReadingMemory(0, str(path)), 0.0
            for group in range(opened.table.num_row_groups):
                columns = {name: _group_memory(opened, group, name) for name in names}
                peak = int(sum(column.peak for column in columns.values()))
                most = max(most, ReadingMemory(peak, f"{path}, row group {group}"))
                kept = max(kept, sum(columns[name].row for name in carried))
            return most._replace(row_bytes=int(kept))

    def rows(self, path: Location, names: list[str], start: int = 0) -> Iterator[dict[str, Any]]:
        """Iterate over rows of `Cell`. Row groups before ``start`` are not read."""
        with _opened(path) as opened:
            group, metadata = 0, opened.table.metadata
            while group < metadata.num_row_groups and start >= (size := metadata.row_group(group).num_rows):
                start -= size
                group += 1
            groups = list(range(group, metadata.num_row_groups))
            if not names:
                rows = sum(metadata.row_group(number).num_rows for number in groups)
                yield from ({} for _ in range(rows - start))
                return
            columns = [_cells(opened, groups, together, rows) for together, rows in _reads(opened, groups, names)]
            for cells in islice(zip(*columns, strict=True), start, None):
                yield {name: cell for part in cells for name, cell in part.items()}


class _Opened(NamedTuple):
    """An open parquet file. ``schema`` has the true types of its columns, ``table`` may read lists without sizes."""

    path: Location
    file: Any
    table: pq.ParquetFile
    schema: pa.Schema
    chunks: list[list[Chunk]]  # of each row group


@contextmanager
def _opened(path: Location) -> Iterator[_Opened]:
    with reading(path):
        try:
            with _open(path) as file:
                chunks = read_chunks(file)  # first: it refuses footers that would crash pyarrow
                with pq.ParquetFile(file) as table:
                    schema = table.schema_arrow.remove_metadata()
                    plain = without_sizes(table.metadata) if has_fixed_lists(schema) else None
                # No pre-buffering: a row group may be larger than memory.
                settings = {"metadata": plain, "pre_buffer": False, "buffer_size": BUFFER_BYTES}
                with pq.ParquetFile(file, **settings) as bounded:
                    yield _Opened(path, file, bounded, schema, chunks)
        except (OSError, ValueError, pa.ArrowException) as error:
            raise DataError(f"{path}: not readable as parquet ({error!s:.200}).") from None


def _open(path: Location) -> Any:
    """Open a file for pyarrow. `pyarrow.OSFile` reads without a copy, but accepts only UTF-8 names."""
    if is_remote(path):
        return open_file(path, seekable=True)
    try:
        os.fspath(path).encode()
    except UnicodeEncodeError:
        return open_file(path)
    return pa.OSFile(os.fspath(path))


def _reads(opened: _Opened, groups: list[int], names: list[str]) -> Iterator[tuple[list[str], int]]:
    """Yield names of columns to read together, and how many rows at a time: small ones together, large ones alone."""
    small = []
    for name in names:
        rows = largest(_group_memory(opened, group, name) for group in groups).rows_at_once
        if rows == READ_ROWS:
            small.append(name)
        else:
            yield [name], rows
    if small:
        yield small, READ_ROWS


def _cells(opened: _Opened, groups: list[int], names: list[str], rows: int) -> Iterator[dict[str, Cell]]:
    # Group by group: pyarrow cannot read dictionaries inside lists across row groups.
    batches = (opened.table.iter_batches(rows, [group], names, use_threads=False) for group in groups)
    for batch in chain.from_iterable(batches):
        columns = [(name, restored(batch.column(name), _type(opened, name, batch))) for name in batch.schema.names]
        del batch
        for _, column in columns:
            _require_sound(column)
        for index in range(len(columns[0][1])):
            yield {name: Cell(column, index) for name, column in columns}


def _require_sound(column: pa.Array) -> None:
    """Raise `ValueError` if an index is beyond its dictionary, which pyarrow does not check."""
    if pa.types.is_dictionary(column.type):
        most = pc.max(column.indices).as_py()
        if most is not None and most >= len(column.dictionary):
            raise ValueError(f"index {most} into a dictionary of {len(column.dictionary)} values")
        return
    for child in _children(column):
        _require_sound(child)


def _children(column: pa.Array) -> list[pa.Array]:
    """List the arrays inside a column of lists, structs, maps or extension types."""
    kind = column.type
    if isinstance(kind, pa.BaseExtensionType):
        return [column.storage]
    if pa.types.is_struct(kind):
        return [column.field(number) for number in range(kind.num_fields)]
    if pa.types.is_map(kind):
        return [column.keys, column.items]
    nested = pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind)
    return [column.values] if nested else []


def _type(opened: _Opened, name: str, batch: pa.RecordBatch) -> pa.DataType:
    """Return the type in the file, or the type as read for a struct of which only some fields are read."""
    read, known = batch.schema.field(name).type, opened.schema.field(name).type
    partly = pa.types.is_struct(known) and read.num_fields < known.num_fields
    return read if partly else known


def _group_memory(opened: _Opened, group: int, name: str) -> ColumnMemory:
    """Compute the memory of a column, or of one of its fields (``a.b``), in one row group."""
    most = REMOTE_PAGES if is_remote(opened.path) else None
    chunks = (chunk for chunk in opened.chunks[group] if chunk.path == name or chunk.path.startswith(name + "."))
    return together(column_memory(opened.file, chunk, most) for chunk in chunks)
