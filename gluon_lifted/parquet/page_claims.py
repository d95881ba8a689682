"""What the pages of a parquet file claim to hold, by their headers, before anything is decompressed.

pyarrow gives a column's size as the footer claims it, and takes as much memory as a page's own header says. It ends the
process over some damaged footers when asked for a size (`RowGroupMetaData.column`), and over a schema that is nested
very deeply. So footer and page headers are read here; the numbers of fields are those of ``parquet.thrift``.
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
# Numbers of fields: of a page's header, and of the encoding in a data page's
PAGE_SIZE, PAGE_COMPRESSED, DATA_PAGE, DATA_PAGE_2 = 2, 3, 5, 8
ENCODING = {DATA_PAGE: 2, DATA_PAGE_2: 4}
DELTA_BYTE_ARRAY = 7  # an encoding in which a byte can stand for a text as long as the one before


class Chunk(NamedTuple):
    """A column of a row group: values that its footer or its pages claim, the more of both, and bytes of its pages."""

    values: int
    num_bytes: int


class Group(NamedTuple):
    """A row group."""

    rows: int
    chunks: tuple[Chunk, ...]


def read_groups(file: IO[bytes], columns: int) -> list[Group]:
    """The row groups of a file, with their first columns.

    Raises
    ------
    OSError
        If the file cannot be read.
    ValueError
        If it is no such file, a claim is outside of it, or a page is in an encoding that `lifted embed` does not write.
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
    """The headers of a column chunk's pages, with their lengths."""
    start, dictionary = metadata[DATA_OFFSET], metadata.get(DICTIONARY_OFFSET, 0)
    at = dictionary if 0 < dictionary < start else start
    end = at + metadata[COMPRESSED]
    if metadata[VALUES] == 0:  # nor is a page read then; what offsets say is undefined
        return
    if not len(MAGIC) <= at <= end <= size:
        raise ValueError(f"a column is said to be at {at} to {end} of {size} bytes")
    while at < end:
        file.seek(at)
        header = io.BytesIO(file.read(MAX_PAGE_HEADER))
        page = read_struct(header)
        if page[PAGE_SIZE] < 0 or page[PAGE_COMPRESSED] < 0:
            raise ValueError("a page claims less than no bytes")
        yield header.tell(), page
        at += header.tell() + page[PAGE_COMPRESSED]
