"""Read columns of a parquet file that may be damaged or hostile, and check their memory before it is allocated.

300 kB can decompress to gigabytes of zeros, so the sizes in page headers are checked before pages are read. Texts are
read as dictionaries, so that a long text in many rows is in memory only once. Page checksums are verified.
"""

from __future__ import annotations

from contextlib import contextmanager
from itertools import chain
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from gluon_lifted.contract import CARD_KEY
from gluon_lifted.errors import RunError
from gluon_lifted.hardware.memory import usable_memory
from gluon_lifted.parquet.page_claims import read_groups
from gluon_lifted.parquet.page_memory import column_memory, read_chunks
from serve_cli.embeddings.fixed_lists import restored, without_sizes
from serve_cli.embeddings.part_columns import MANIFEST

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

    from gluon_lifted.card import ModelCard
    from gluon_lifted.parquet.page_claims import Group

MAX_TEXT = 1 << 16  # bytes of one id, path, label or error
TEXT_BYTES = 1 << 12  # average limit per row in a text column
NUMBER_BYTES = 8  # limit per number with its levels; parquet stores int8 in 4 bytes
MAX_CARRIED = 1 << 31  # bytes of the carried columns of a row group
SLACK = 1 << 24  # bytes per column for headers and a dictionary
# pyarrow's own errors, and Python's for C++ exceptions that pyarrow lets through
READ_ERRORS = (
    *(OSError, ValueError, LookupError, ArithmeticError, TypeError, RuntimeError, MemoryError),
    pa.ArrowException,
)


class CheckedParquet:
    """A parquet file whose first columns are known.

    Parameters
    ----------
    path : Path
    own : sequence of Field
        Its first columns, in order. Further columns are only read if asked for.
    card : ModelCard, optional
        The model card that its metadata must contain.
    rows : int, optional
        The number of rows that it must have.
    """

    def __init__(
        self, path: Path, own: Sequence[pa.Field], card: ModelCard | None = None, rows: int | None = None
    ) -> None:
        self._path, self._own, self._card, self._rows = path, own, card, rows

    def count(self) -> int:
        """Check the footer and return its number of rows. Raises `RunError`."""
        with self._errors():
            return int(self._metadata().num_rows)

    def carried(self) -> pa.Schema:
        """Return the further columns. Raises `RunError`."""
        with self._errors():
            columns = self._metadata().schema.to_arrow_schema().remove_metadata()
            return pa.schema(list(columns)[len(self._own) :])

    def tables(self, carried: pa.Schema | None = None) -> Iterator[pa.Table]:
        """Read the known columns by row group, with fixed-size lists as plain lists. Raises `RunError`.

        Parameters
        ----------
        carried : Schema, optional
            Further columns to read, with the types that the file must have.
        """
        texts = [field.name for field in self._own if pa.types.is_string(field.type)]
        names = [field.name for field in self._own]
        with self._errors():
            metadata = self._metadata()
            if carried:
                self._check_carried(metadata, carried)
                names += carried.names
            with (
                self._path.open("rb") as file,
                pq.ParquetFile(
                    file,
                    metadata=without_sizes(metadata),
                    read_dictionary=texts,
                    page_checksum_verification=True,
                    pre_buffer=False,  # threads that read ahead outlive an error, and crash on the closed file
                ) as part,
            ):
                for number in range(metadata.num_row_groups):
                    table = part.read_row_group(number, names, use_threads=False)
                    self._check_table(table, metadata.row_group(number).num_rows)
                    yield _with_types(table, carried or ())

    def _metadata(self) -> pq.FileMetaData:
        if not self._path.is_file():  # opening a pipe would block
            raise FileNotFoundError("no such file")
        with self._path.open("rb") as file:
            groups = read_groups(file, len(self._own))  # first: it refuses files that crash pyarrow
            file.seek(0)
            metadata = pq.read_metadata(file)
        if self._rows is not None and metadata.num_rows != self._rows:
            raise self._error(f"has {metadata.num_rows} rows, but {MANIFEST} says {self._rows}")
        columns = metadata.schema.to_arrow_schema()
        if list(columns)[: len(self._own)] != list(self._own):
            raise self._error("has other columns than `lifted embed` writes")
        if self._card is not None and (columns.metadata or {}).get(CARD_KEY.encode()) != self._card.to_json().encode():
            raise self._error(f"names another model than {MANIFEST}")
        self._check_sizes(metadata, groups)
        return metadata

    def _check_sizes(self, metadata: pq.FileMetaData, groups: Sequence[Group]) -> None:
        sizes = [group.rows for group in groups]
        if min(sizes, default=0) < 0 or sum(sizes) != metadata.num_rows or len(sizes) != metadata.num_row_groups:
            raise self._error(f"its row groups do not add up to its {metadata.num_rows} rows")
        for group in groups:
            for field, chunk in zip(self._own, group.chunks, strict=True):
                width = field.type.list_size if pa.types.is_fixed_size_list(field.type) else 1
                row_bytes = TEXT_BYTES if pa.types.is_string(field.type) else NUMBER_BYTES * width
                if chunk.num_bytes > row_bytes * group.rows + SLACK or not 0 <= chunk.values <= width * group.rows:
                    raise self._error(
                        f"column {field.name!r} has {chunk.values:,} values in {chunk.num_bytes:,} bytes, too much for "
                        f"{group.rows:,} rows"
                    )

    def _check_carried(self, metadata: pq.FileMetaData, carried: pa.Schema) -> None:
        columns = metadata.schema.to_arrow_schema().remove_metadata()
        if list(columns)[len(self._own) :] != list(carried):
            raise self._error("has other carried columns than the first part file")
        with self._path.open("rb") as file:
            read_groups(file, metadata.num_columns)  # refuses pages that claim more than the file has
            for chunks in read_chunks(file):
                memory = (column_memory(file, chunk) for chunk in chunks[len(self._own) :])
                needed = sum(column.pages + column.row * chunks[0].rows for column in memory)
                if needed > min(usable_memory(), MAX_CARRIED):
                    raise self._error(f"its carried columns need {needed / 1e9:,.1f} GB of memory in one row group")

    def _check_table(self, table: pa.Table, rows: int) -> None:
        if len(table) != rows:
            raise self._error(f"holds {len(table)} rows, but its footer says {rows}")
        table.validate(full=True)
        for name in table.column_names:
            if not pa.types.is_dictionary(table[name].type):
                continue
            values = (chunk.dictionary for chunk in table[name].chunks)
            longest = max(chain([0], (pc.max(pc.binary_length(value)).as_py() or 0 for value in values)))
            if longest > MAX_TEXT:
                raise self._error(f"column {name!r} has a string of {longest:,} bytes; at most {MAX_TEXT:,} are read")

    @contextmanager
    def _errors(self) -> Iterator[None]:
        """Convert errors of files and of pyarrow to `RunError`."""
        try:
            yield
        except READ_ERRORS as error:
            raise self._error(f"cannot be read ({error!s:.200})") from None

    def _error(self, problem: str) -> RunError:
        return RunError(f"{self._path}: {problem}; embed again.")


def _with_types(table: pa.Table, fields: Iterable[pa.Field]) -> pa.Table:
    """Restore the types of columns that were read with fixed-size lists as plain lists."""
    for field in fields:
        column = table[field.name]
        if column.type != field.type:
            chunks = [restored(chunk, field.type) for chunk in column.chunks]
            table = table.set_column(table.column_names.index(field.name), field, pa.chunked_array(chunks, field.type))
    return table


def text_bytes(column: pa.ChunkedArray) -> int:
    """Count the bytes of a dictionary column's text as it would be without a dictionary."""
    lengths = (pc.binary_length(chunk.dictionary).take(chunk.indices) for chunk in column.chunks)
    return sum(pc.sum(length).as_py() or 0 for length in lengths)


def texts(column: pa.ChunkedArray) -> list[str | None]:
    """Convert a column of text to strings. Equal strings of a dictionary are the same object."""
    strings: list[str | None] = []
    for chunk in column.chunks:
        if not pa.types.is_dictionary(chunk.type):
            strings.extend(chunk.to_pylist())
            continue
        values = [*chunk.dictionary.to_pylist(), None]
        strings.extend(map(values.__getitem__, chunk.indices.fill_null(len(values) - 1).to_pylist()))
    return strings
