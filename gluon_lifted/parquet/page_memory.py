"""Estimate the memory that the pages of a parquet file take, from their headers.

A page is decompressed as a whole, even if only a few rows are read. The footer does not contain the sizes of pages, and
pyarrow does not expose their headers. Field numbers are those of ``parquet.thrift``.
"""

from __future__ import annotations

import io
from itertools import islice
from typing import IO, TYPE_CHECKING, Any, NamedTuple

import pyarrow as pa

from gluon_lifted.parquet.footer import (
    CODEC,
    COMPRESSED,
    DATA_OFFSET,
    DICTIONARY_OFFSET,
    ENCODINGS,
    PATH,
    TYPE,
    UNCOMPRESSED,
    VALUES,
    footer_damage,
    read_footer,
)
from gluon_lifted.parquet.thrift import read_struct

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

DICTIONARY_PAGE = 2  # PageType
DATA_HEADERS = (5, 7, 8)  # fields: data page, dictionary page, data page of version 2
READ_ROWS = 1024  # in a batch of small rows
READ_BYTES = 8 << 20  # in a batch of more than one row
BUFFER_BYTES = 1 << 20  # read buffer of a column; remote files have larger buffers of their own
HEADER_SIZES = (1 << 12, 1 << 24)  # bytes to read for a header; statistics can make it large
BYTE_ARRAY, DELTA_BYTE_ARRAY = 6, 7  # Type, Encoding
CODECS = {
    1: "snappy",
    2: "gzip",
    4: "brotli",
    6: "zstd",
    7: "lz4_raw",
}  # CompressionCodec; pa.decompress lacks LZO and parquet's own LZ4
SMALL_CHUNK = 1 << 16  # bytes; not worth a request for its headers
MAX_PARSED = 4 << 20  # bytes; in larger dictionaries the values are not measured


class Chunk(NamedTuple):
    """A column of a row group, as the footer describes it."""

    path: str  # ``a.b`` for field ``b`` of struct ``a``
    rows: int
    values: int
    size: int  # bytes of all pages and their headers, uncompressed
    stored_size: int
    first: int  # offset of its first page
    has_dictionary: bool
    is_repeating: bool  # a value may be larger than its bytes in a page
    is_bytes: bool
    codec: int


class Page(NamedTuple):
    """A page header. ``content`` is the offset of the page's bytes."""

    dictionary: bool
    size: int  # bytes, uncompressed
    stored_size: int
    values: int
    content: int


class ColumnMemory(NamedTuple):
    """Upper bounds of the memory that reading a column takes, in bytes.

    Parameters
    ----------
    pages : int
        The dictionary and the largest page, decompressed.
    stored : int
        The largest page as stored.
    row : float
        A row of many: the mean in the page with the largest rows.
    value : int
        The largest value.
    """

    pages: int
    stored: int
    row: float
    value: int

    @property
    def batch(self) -> float:
        """Bytes of a batch of `rows_at_once` rows."""
        return max(self.value, min(READ_BYTES, READ_ROWS * self.row))

    @property
    def peak(self) -> float:
        """Peak in bytes: a batch doubles as it grows and copies its last row, or a page is decompressed beside it."""
        return self.pages + max(3 * self.batch, self.batch + 2 * self.stored) + BUFFER_BYTES

    @property
    def rows_at_once(self) -> int:
        """Rows of a batch."""
        return max(1, min(READ_ROWS, int(READ_BYTES / max(self.row, 1))))


def together(columns: Iterable[ColumnMemory]) -> ColumnMemory:
    """Add up the memory of columns that are read together."""
    return ColumnMemory(*(sum(values) for values in zip(ColumnMemory(0, 0, 0.0, 0), *columns, strict=True)))


def largest(columns: Iterable[ColumnMemory]) -> ColumnMemory:
    """Take the maximum over columns that are read one after the other."""
    return ColumnMemory(*(max(values) for values in zip(ColumnMemory(0, 0, 0.0, 0), *columns, strict=True)))


def read_chunks(file: IO[bytes]) -> list[list[Chunk]]:
    """Read the column chunks of each row group. Raises `ValueError` if the footer is damaged."""
    groups, _ = read_footer(file)
    with footer_damage():
        return [[_chunk(metadata, group.rows) for metadata in group.metadata()] for group in groups]


def _chunk(metadata: dict[int, Any], rows: Any) -> Chunk:
    dictionary = _size(metadata.get(DICTIONARY_OFFSET) or 0)
    first = _size(metadata[DATA_OFFSET])
    return Chunk(
        path=b".".join(metadata[PATH]).decode(errors="surrogateescape"),
        rows=_size(rows),
        values=_size(metadata[VALUES]),
        size=_size(metadata[UNCOMPRESSED]),
        stored_size=_size(metadata[COMPRESSED]),
        first=min(first, dictionary) if dictionary else first,
        has_dictionary=dictionary > 0,
        is_repeating=DELTA_BYTE_ARRAY in metadata[ENCODINGS],
        is_bytes=metadata[TYPE] == BYTE_ARRAY,
        codec=_size(metadata[CODEC]),
    )


def column_memory(file: IO[bytes], chunk: Chunk, most: int | None = None) -> ColumnMemory:
    """Estimate the memory of one chunk of a column.

    Parameters
    ----------
    file : file
        Binary and seekable; contains the chunk.
    chunk : Chunk
        Its entry in the footer.
    most : int, optional
        Largest number of page headers to read, if each costs a request. The others are assumed to be similar.

    Raises
    ------
    ValueError
        If a header is damaged.
    """
    per_row = max(chunk.values, 1) / max(chunk.rows, 1)  # more than 1 in lists
    if most is not None and max(chunk.size, chunk.stored_size) <= SMALL_CHUNK:
        widest = chunk.size if chunk.is_repeating or chunk.has_dictionary else chunk.size / max(chunk.rows, 1)
        return ColumnMemory(2 * chunk.size, chunk.stored_size, widest, chunk.size)
    dictionary, memory = 0, ColumnMemory(0, 0, 0.0, 0)
    for page in islice(_pages(file, chunk), most):
        value = _largest_value(file, chunk, page) if page.dictionary else page.size
        mean = value if page.dictionary or chunk.is_repeating else page.size / max(page.values, 1)
        memory = largest([memory, ColumnMemory(page.size, page.stored_size, per_row * mean, value)])
        dictionary += page.size * page.dictionary
    return memory._replace(pages=dictionary + memory.pages)


def _pages(file: IO[bytes], chunk: Chunk) -> Iterator[Page]:
    """Yield the page headers of a chunk, in order."""
    offset, end = chunk.first, chunk.first + chunk.stored_size
    while offset < end:
        fields, content = _header(file, offset, end)
        about: dict[int, Any] = next(
            (fields[number] for number in DATA_HEADERS if isinstance(fields.get(number), dict)), {}
        )
        size, stored, values = (_size(field) for field in (fields.get(2), fields.get(3), about.get(1)))
        yield Page(fields.get(1) == DICTIONARY_PAGE, size, stored, values, content)
        offset = content + stored


def _header(file: IO[bytes], offset: int, end: int) -> tuple[dict[int, Any], int]:
    """Read the fields of a page header and the offset of the page's content."""
    for size in HEADER_SIZES:
        file.seek(offset)
        header = io.BytesIO(file.read(min(size, end - offset)))
        try:
            return read_struct(header), offset + header.tell()
        except EOFError:
            continue
    raise ValueError("a page's header is cut off")


def _size(value: Any) -> int:
    if not isinstance(value, int) or value < 0:
        raise ValueError("a page has no size")
    return value


def _largest_value(file: IO[bytes], chunk: Chunk, page: Page) -> int:
    """Measure the largest value of a dictionary, in bytes; the whole dictionary if it is too large or unreadable."""
    if not chunk.is_bytes:
        return page.size // max(page.values, 1) + 1
    if max(page.size, page.stored_size) > MAX_PARSED:
        return page.size
    file.seek(page.content)
    content = file.read(page.stored_size)
    try:
        if chunk.codec:
            content = pa.decompress(content, page.size, CODECS[chunk.codec], asbytes=True)
    except (KeyError, ValueError, OSError, pa.ArrowException):  # a codec that only parquet has, or damage
        return page.size
    largest = offset = 0
    while offset < len(content):
        size = int.from_bytes(content[offset : offset + 4], "little")
        largest, offset = max(largest, size), offset + 4 + size
    return min(largest, page.size)
