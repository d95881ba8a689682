"""Read columns of a parquet file that may be damaged or hostile; check their memory before it is allocated.

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
from gluon_lifted.parquet.page_claims import read_groups
from serve_cli.embeddings.fixed_lists import without_sizes
from serve_cli.embeddings.part_columns import MANIFEST

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from gluon_lifted.card import ModelCard
    from gluon_lifted.parquet.page_claims import Group

MAX_TEXT = 1 << 16  # bytes of one id, path, label or error
TEXT_BYTES = 1 << 12  # average limit per row in a text column
NUMBER_BYTES = 8  # limit per number with its levels; parquet stores int8 in 4 bytes
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
        Its first columns, in order. Further columns are never read.
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

    def tables(self) -> Iterator[pa.Table]:
        """Read the known columns by row group, with fixed-size lists as plain lists. Raises `RunError`."""
        texts = [field.name for field in self._own if pa.types.is_string(field.type)]
        names = [field.name for field in self._own]
        with self._errors():
            metadata = self._metadata()
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
                    yield table

    def _metadata(self) -> pq.FileMetaData:
        if not self._path.is_file():  # opening a pipe would block
            raise FileNotFoundError("no such file")
        with self._path.open("rb") as file:
            groups = read_groups(file, len(self._own))  # first: it refuses files that crash pyarrow
            file.seek(0)
            metadata = pq.read_metadata(file)
        if self._rows is not None and metadata.num_rows != self._rows:
            raise self._error(f"has {metadata.num_rows} rows and {MANIFEST} says {self._rows}")
        columns = metadata.schema.to_arrow_schema()
        if list(columns)[: len(self._own)] != list(self._own):
            raise self._error("has other columns than `lifted embed` writes")
        if self._card is not None and (columns.metadata or {}).get(CARD_KEY.encode()) != self._card.to_json().encode():
            raise self._error(f"is of another model than {MANIFEST}")
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

    def _check_table(self, table: pa.Table, rows: int) -> None:
        if len(table) != rows:
            raise self._error(f"holds {len(table)} rows where its footer says {rows}")
        table.validate(full=True)
        for name in table.column_names:
            if not pa.types.is_dictionary(table[name].type):
                continue
            values = (chunk.dictionary for chunk in table[name].chunks)
            longest = max(chain([0], (pc.max(pc.binary_length(value)).as_py() or 0 for value in values)))
            if longest > MAX_TEXT:
                raise self._error(f"column {name!r} has a text of {longest:,} bytes; at most {MAX_TEXT:,} are read")

    @contextmanager
    def _errors(self) -> Iterator[None]:
        """Convert errors of files and of pyarrow to `RunError`."""
        try:
            yield
        except READ_ERRORS as error:
            raise self._error(f"cannot be read ({error!s:.200})") from None

    def _error(self, problem: str) -> RunError:
        return RunError(f"{self._path}: {problem}; embed again.")


def texts(column: pa.ChunkedArray) -> list[str | None]:
    """Convert a dictionary column to strings; equal strings of a chunk are the same object."""
    strings: list[str | None] = []
    for chunk in column.chunks:
        values = [*chunk.dictionary.to_pylist(), None]
        strings.extend(map(values.__getitem__, chunk.indices.fill_null(len(values) - 1).to_pylist()))
    return strings
