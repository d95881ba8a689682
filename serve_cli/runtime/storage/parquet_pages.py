"""What the pages of a parquet file hold, by their headers, before anything is decompressed.

pyarrow gives a column's size as the footer claims it, and takes as much memory as a page's own header says. It ends the
process over some damaged footers when asked for a size (`RowGroupMetaData.column`), and over a schema that is nested
very deeply. So footer and page headers are read here. Both are structs in Thrift's compact protocol, in which a field
has a number, a type and a value (parquet-format's ``parquet.thrift``, Thrift's ``thrift-compact-protocol.md``).
"""

from __future__ import annotations

from typing import IO, TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

MAGIC = b"PAR1"
MAX_FOOTER = 1 << 24  # bytes; a hundred thousand column chunks
MAX_PAGE_HEADER = 1 << 16
MAX_DEPTH = 16  # of structs and lists inside one another; parquet has 6
MAX_NESTING = 100  # of the schema's columns; pyarrow overflows its stack at some thousands
# Numbers of fields: of the file, its schema, a row group, a column chunk, its metadata, a page
SCHEMA, CHILDREN, ROW_GROUPS, COLUMNS, CHUNK_METADATA, GROUP_ROWS = 2, 5, 4, 1, 3, 3
VALUES, COMPRESSED, DATA_OFFSET, DICTIONARY_OFFSET = 5, 7, 9, 11
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
    try:
        size = file.seek(0, 2)
        file.seek(max(0, size - 8))
        length, magic = int.from_bytes(file.read(4), "little"), file.read(4)
        if magic != MAGIC or length > min(size - 8, MAX_FOOTER):
            raise ValueError("not a parquet file")
        file.seek(size - 8 - length)
        footer = _Compact(file.read(length)).struct()
        _check_depth(footer[SCHEMA])
        return [
            Group(
                group[GROUP_ROWS],
                tuple(_chunk(file, size, column[CHUNK_METADATA]) for column in group[COLUMNS][:columns]),
            )
            for group in footer[ROW_GROUPS]
        ]
    except (LookupError, TypeError, AttributeError) as error:  # a value of another kind than expected
        raise ValueError(f"its footer is damaged ({error!r:.80})") from None


def _check_depth(schema: list[dict[int, Any]]) -> None:
    """Raise `ValueError` for columns that are nested too deeply; a schema lists each before those inside it."""
    expected: list[int] = []  # of the columns that are open: how many more are inside
    for one in schema:
        while expected and expected[-1] == 0:
            expected.pop()
        if expected:
            expected[-1] -= 1
        expected.append(one.get(CHILDREN, 0))
        if len(expected) > MAX_NESTING:
            raise ValueError("its columns are nested too deeply")


def _chunk(file: IO[bytes], size: int, about: dict[int, Any]) -> Chunk:
    values = num_bytes = 0
    for header_bytes, page in _pages(file, size, about):
        num_bytes += header_bytes + page[PAGE_SIZE]
        for kind, encoding in ENCODING.items():
            if kind in page:
                values += page[kind][1]
                if page[kind][encoding] == DELTA_BYTE_ARRAY:
                    raise ValueError("a page has the encoding DELTA_BYTE_ARRAY")
                if page[kind][1] < 0:
                    raise ValueError(f"a page claims {page[kind][1]} values")
    return Chunk(max(values, about[VALUES]), num_bytes)


def _pages(file: IO[bytes], size: int, about: dict[int, Any]) -> Iterator[tuple[int, dict[int, Any]]]:
    """The headers of a column chunk's pages, with their lengths."""
    start, dictionary = about[DATA_OFFSET], about.get(DICTIONARY_OFFSET, 0)
    at = dictionary if 0 < dictionary < start else start
    end = at + about[COMPRESSED]
    if about[VALUES] == 0:  # nor is a page read then; what offsets say is undefined
        return
    if not len(MAGIC) <= at <= end <= size:
        raise ValueError(f"a column is said to be at {at} to {end} of {size} bytes")
    while at < end:
        file.seek(at)
        header = _Compact(file.read(MAX_PAGE_HEADER))
        page = header.struct()
        if page[PAGE_SIZE] < 0 or page[PAGE_COMPRESSED] < 0:
            raise ValueError("a page claims less than no bytes")
        yield header.at, page
        at += header.at + page[PAGE_COMPRESSED]


class _Compact:
    """Values of Thrift's compact protocol; raises `LookupError` or `ValueError` where there are none."""

    def __init__(self, content: bytes) -> None:
        self._content, self.at = content, 0

    def struct(self, depth: int = 0) -> dict[int, Any]:
        """Number of a field -> its value."""
        found: dict[int, Any] = {}
        number = 0
        while head := self._byte():
            number = number + (head >> 4) if head >> 4 else self._signed()
            kind = head & 15
            found[number] = kind == 1 if kind in (1, 2) else self._value(kind, depth + 1)
        return found

    def _value(self, kind: int, depth: int) -> Any:
        if depth > MAX_DEPTH:
            raise ValueError("a footer is nested too deeply")
        if kind in (1, 2, 3):  # booleans and bytes, in lists
            return self._byte()
        if kind in (4, 5, 6):
            return self._signed()
        if kind == 7:
            return self._bytes(8)
        if kind == 8:
            return self._bytes(self._unsigned())
        if kind in (9, 10):
            return self._list(depth)
        if kind == 12:
            return self.struct(depth)
        raise ValueError(f"a footer has a value of type {kind}")  # maps are in no struct of parquet's

    def _list(self, depth: int) -> list[Any]:
        head = self._byte()
        length = head >> 4 if head >> 4 < 15 else self._unsigned()
        return [self._value(head & 15, depth + 1) for _ in range(length)]  # each takes a byte or more

    def _byte(self) -> int:
        self.at += 1
        return self._content[self.at - 1]

    def _bytes(self, length: int) -> bytes:
        self.at += length
        if self.at > len(self._content):
            raise LookupError("cut off")
        return self._content[self.at - length : self.at]

    def _unsigned(self) -> int:
        value = shift = 0
        while True:
            byte = self._byte()
            value |= (byte & 127) << shift
            if byte < 128:
                return value
            shift += 7
            if shift > 63:
                raise ValueError("a footer has a number of more than 64 bits")

    def _signed(self) -> int:
        value = self._unsigned()
        return (value >> 1) ^ -(value & 1)
