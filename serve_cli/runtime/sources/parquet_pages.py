"""How much memory the pages of a parquet file take, read from their headers.

A page is the unit that is decompressed at once, however few rows are asked for. The footer does not give the sizes of
pages, and pyarrow does not give their headers: Thrift's compact protocol is read here
(https://github.com/apache/thrift/blob/master/doc/specs/thrift-compact-protocol.md, parquet.thrift's PageHeader).
"""

from __future__ import annotations

import io
from itertools import islice
from typing import TYPE_CHECKING, Any, NamedTuple

import pyarrow as pa

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

DICTIONARY_PAGE = 2  # PageType
TRUE, FALSE, BYTE, INTEGERS, DOUBLE, BINARY, LISTS, STRUCT = 1, 2, 3, (4, 5, 6), 7, 8, (9, 10), 12
READ_ROWS = 1024  # at a time, if they are small
READ_BYTES = 8 << 20  # at a time, if they are more than one row
BUFFER_BYTES = 1 << 20  # of each column that is read; remote files have larger ones of their own
HEADER_SIZES = (1 << 12, 1 << 24)  # bytes that are read for a header, which can have large statistics; pyarrow's limit
MAX_DEPTH = 8
SMALL_CHUNK = 1 << 16  # bytes: no need to know more, if that costs a request
MAX_PARSED = 4 << 20  # bytes of a dictionary whose values are looked at one by one


class Page(NamedTuple):
    """What a header says; ``content`` is where the page's bytes begin."""

    dictionary: bool
    size: int  # bytes, uncompressed
    stored_size: int
    values: int
    content: int


class ColumnMemory(NamedTuple):
    """Bytes that reading a column takes, at most.

    Parameters
    ----------
    pages : int
        A dictionary and a page, decompressed.
    stored : int
        A page as it is stored.
    row : float
        A row, where many of them are read: in the page whose rows are the largest.
    value : int
        The largest value.
    """

    pages: int
    stored: int
    row: float
    value: int

    @property
    def batch(self) -> float:
        """Of a batch of rows, if as many are read at a time as `rows_at_once` says."""
        return max(self.value, min(READ_BYTES, READ_ROWS * self.row))

    @property
    def peak(self) -> float:
        """With a batch: as it grows by doubling and its last row is copied, or beside a page that is decompressed."""
        return self.pages + max(3 * self.batch, self.batch + 2 * self.stored) + BUFFER_BYTES

    @property
    def rows_at_once(self) -> int:
        """How many rows to read at a time."""
        return max(1, min(READ_ROWS, int(READ_BYTES / max(self.row, 1))))


def together(columns: Iterable[ColumnMemory]) -> ColumnMemory:
    """What columns take that are read together."""
    return ColumnMemory(*(sum(one) for one in zip(ColumnMemory(0, 0, 0.0, 0), *columns, strict=True)))


def largest(columns: Iterable[ColumnMemory]) -> ColumnMemory:
    """What columns take at most that are read one after the other."""
    return ColumnMemory(*(max(one) for one in zip(ColumnMemory(0, 0, 0.0, 0), *columns, strict=True)))


def column_memory(file: Any, chunk: Any, rows: int, most: int | None = None) -> ColumnMemory:
    """What one chunk of a column takes.

    Parameters
    ----------
    file : file
        That has the chunk, opened to be read anywhere.
    chunk : ColumnChunkMetaData
    rows : int
        Of its row group.
    most : int, optional
        Pages to look at, where each costs a request; the others are taken to be like them.

    Raises
    ------
    ValueError
        If a header is damaged.
    """
    whole, stored = chunk.total_uncompressed_size, chunk.total_compressed_size
    per_row = max(chunk.num_values, 1) / max(rows, 1)  # more than 1 in lists
    repeating = "DELTA_BYTE_ARRAY" in chunk.encodings
    if most is not None and 0 <= whole <= SMALL_CHUNK and 0 <= stored <= SMALL_CHUNK:
        widest = whole if repeating or chunk.has_dictionary_page else whole / max(rows, 1)
        return ColumnMemory(2 * whole, stored, widest, whole)
    dictionary, found = 0, ColumnMemory(0, 0, 0.0, 0)
    for page in islice(_pages(file, chunk), most):
        value = _largest_value(file, chunk, page) if page.dictionary else page.size
        mean = value if page.dictionary or repeating else page.size / max(page.values, 1)
        found = largest([found, ColumnMemory(page.size, page.stored_size, per_row * mean, value)])
        dictionary += page.size * page.dictionary
    return found._replace(pages=dictionary + found.pages)


def _pages(file: Any, chunk: Any) -> Iterator[Page]:
    """The headers of a chunk's pages, in order."""
    first = chunk.data_page_offset
    if chunk.has_dictionary_page and chunk.dictionary_page_offset is not None:
        first = min(first, chunk.dictionary_page_offset)
    offset, end = first, first + chunk.total_compressed_size
    if first < 0:
        raise ValueError("a page has no place in the file")
    while offset < end:
        fields, content = _header(file, offset, end)
        about = fields.get(5) or fields.get(7) or fields.get(8) or {}
        size, stored, values = (_size(one) for one in (fields.get(2), fields.get(3), about.get(1)))
        yield Page(fields.get(1) == DICTIONARY_PAGE, size, stored, values, content)
        offset = content + stored


def _header(file: Any, offset: int, end: int) -> tuple[dict[int, Any], int]:
    """A header's fields, and where the page's content begins."""
    for size in HEADER_SIZES:
        file.seek(offset)
        header = io.BytesIO(file.read(min(size, end - offset)))
        try:
            return _struct(header, MAX_DEPTH), offset + header.tell()
        except EOFError:
            continue
    raise ValueError("a page's header is cut off")


def _size(found: Any) -> int:
    if not isinstance(found, int) or found < 0:
        raise ValueError("a page has no size")
    return found


def _largest_value(file: Any, chunk: Any, page: Page) -> int:
    """Bytes of the largest value in a dictionary; of the dictionary, where it is too large to be gone through."""
    if chunk.physical_type != "BYTE_ARRAY":
        return page.size // max(page.values, 1) + 1
    if max(page.size, page.stored_size) > MAX_PARSED:
        return page.size
    file.seek(page.content)
    content = file.read(page.stored_size)
    try:
        if chunk.compression != "UNCOMPRESSED":
            content = pa.decompress(content, page.size, chunk.compression.lower(), asbytes=True)
    except (ValueError, OSError, pa.ArrowException):  # a codec that is known to parquet alone, or damage
        return page.size
    largest = offset = 0
    while offset < len(content):
        size = int.from_bytes(content[offset : offset + 4], "little")
        largest, offset = max(largest, size), offset + 4 + size
    return min(largest, page.size)


def _struct(file: io.BytesIO, depth: int) -> dict[int, Any]:
    """Fields of a struct by their numbers."""
    found: dict[int, Any] = {}
    number = 0
    while head := _byte(file):
        number = number + (head >> 4) if head >> 4 else _zigzag(file)
        found[number] = _value(file, head & 15, depth)
    return found


def _value(file: io.BytesIO, kind: int, depth: int) -> Any:
    if depth == 0:
        raise ValueError("a page's header is nested too deeply")
    if kind in (TRUE, FALSE):
        return kind == TRUE
    if kind in INTEGERS:
        return _zigzag(file)
    if kind in (BYTE, DOUBLE):
        return _bytes(file, 1 if kind == BYTE else 8)
    if kind == BINARY:
        return _bytes(file, _varint(file))
    if kind in LISTS:
        head = _byte(file)
        size = _varint(file) if head >> 4 == 15 else head >> 4
        element = BYTE if head & 15 in (TRUE, FALSE) else head & 15  # a truth value has a byte in a list alone
        return [_value(file, element, depth - 1) for _ in range(size)]
    if kind == STRUCT:
        return _struct(file, depth - 1)
    raise ValueError("a page's header cannot be read")


def _zigzag(file: io.BytesIO) -> int:
    number = _varint(file)
    return (number >> 1) ^ -(number & 1)


def _varint(file: io.BytesIO) -> int:
    number = shift = 0
    while (byte := _byte(file)) & 128:
        number |= (byte & 127) << shift
        shift += 7
        if shift > 63:
            raise ValueError("a page's header has too large a number")
    return number | byte << shift


def _byte(file: io.BytesIO) -> int:
    return _bytes(file, 1)[0]


def _bytes(file: io.BytesIO, size: int) -> bytes:
    if size > HEADER_SIZES[-1]:
        raise ValueError("a page's header is too large")
    found = file.read(size)
    if len(found) < size:
        raise EOFError
    return found
