"""Read what the page headers of a parquet file claim, before anything is decompressed.

pyarrow reports a column's size as the footer claims it, and allocates as much memory as a page header says. It crashes
on some damaged footers when asked for a size (`RowGroupMetaData.column`), and on very deeply nested schemas. So the
footer and the page headers are read here. Field numbers are those of ``parquet.thrift``.
"""

from __future__ import annotations

import io
from typing import IO, TYPE_CHECKING, Any, NamedTuple

from gluon_lifted.parquet.footer import (
    COMPRESSED,
    DATA_OFFSET,
    DICTIONARY_OFFSET,
    MAGIC,
    VALUES,
    footer_damage,
    read_footer,
)
from gluon_lifted.parquet.thrift import read_struct

if TYPE_CHECKING:
    from collections.abc import Iterator

MAX_FOOTER = 1 << 24  # bytes; a hundred thousand column chunks
MAX_PAGE_HEADER = 1 << 16
# Field numbers of a page header, and of the encoding in the header of a data page
PAGE_SIZE, PAGE_COMPRESSED, DATA_PAGE, DATA_PAGE_2 = 2, 3, 5, 8
ENCODING = {DATA_PAGE: 2, DATA_PAGE_2: 4}
DELTA_BYTE_ARRAY = 7  # an encoding in which one byte can repeat the whole previous text


class Chunk(NamedTuple):
    """A column of a row group: values claimed by footer or pages, whichever is more, and bytes of its pages."""

    values: int
    num_bytes: int


class Group(NamedTuple):
    """A row group: its number of rows as the footer claims it, and its first columns."""

    rows: int
    chunks: tuple[Chunk, ...]


def read_groups(file: IO[bytes], columns: int) -> list[Group]:
    """Read the row groups of a file with their first ``columns`` columns.

    Raises
    ------
    OSError
        If the file cannot be read.
    ValueError
        If the file is not a parquet file, a claim exceeds the file, or a page has an encoding that `lifted embed` does
        not write.
    """
    groups, size = read_footer(file, MAX_FOOTER)
    with footer_damage():
        return [
            Group(group.rows, tuple(_chunk(file, size, metadata) for metadata in group.metadata(columns)))
            for group in groups
        ]


def _chunk(file: IO[bytes], size: int, metadata: dict[int, Any]) -> Chunk:
    values = num_bytes = 0
    for header_bytes, page in _pages(file, size, metadata):
        num_bytes += header_bytes + page[PAGE_SIZE]
        for kind, encoding in ENCODING.items():
            if kind in page:
                values += page[kind][1]
                if page[kind][encoding] == DELTA_BYTE_ARRAY:
                    raise ValueError("a page has the encoding DELTA_BYTE_ARRAY")
                if page[kind][1] < 0:
                    raise ValueError(f"a page claims {page[kind][1]} values")
    return Chunk(max(values, metadata[VALUES]), num_bytes)


def _pages(file: IO[bytes], size: int, metadata: dict[int, Any]) -> Iterator[tuple[int, dict[int, Any]]]:
    """Yield the page headers of a column chunk and the length of each in bytes."""
    start, dictionary = metadata[DATA_OFFSET], metadata.get(DICTIONARY_OFFSET, 0)
    at = dictionary if 0 < dictionary < start else start
    end = at + metadata[COMPRESSED]
    if metadata[VALUES] == 0:  # no page is read then, and the offsets are undefined
        return
    if not len(MAGIC) <= at <= end <= size:
        raise ValueError(f"a column claims to span bytes {at} to {end} of {size}")
    while at < end:
        file.seek(at)
        header = io.BytesIO(file.read(MAX_PAGE_HEADER))
        page = read_struct(header)
        if page[PAGE_SIZE] < 0 or page[PAGE_COMPRESSED] < 0:
            raise ValueError("a page claims a negative size")
        yield header.tell(), page
        at += header.tell() + page[PAGE_COMPRESSED]
