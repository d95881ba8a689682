"""Read the footer of a parquet file. Some damaged footers would crash pyarrow.

Field numbers are those of ``parquet.thrift``.
"""

from __future__ import annotations

import io
from contextlib import contextmanager
from typing import IO, TYPE_CHECKING, Any, NamedTuple

from gluon_lifted.parquet.thrift import read_struct

if TYPE_CHECKING:
    from collections.abc import Iterator

MAGIC = b"PAR1"
END_BYTES = 8  # the size of the footer, and "PAR1"
MAX_NESTING = 100  # of columns; pyarrow overflows its stack at a few thousand
# Field numbers of the file, a schema element, a row group and a column chunk
SCHEMA, ROW_GROUPS = 2, 4
CHILDREN = 5
COLUMNS, GROUP_ROWS = 1, 3
CHUNK_METADATA = 3
# Field numbers of a column chunk's metadata
TYPE, ENCODINGS, PATH, CODEC, VALUES = 1, 2, 3, 4, 5
UNCOMPRESSED, COMPRESSED, DATA_OFFSET, DICTIONARY_OFFSET = 6, 7, 9, 11


class RowGroup(NamedTuple):
    """A row group in the footer, not validated.

    Parameters
    ----------
    rows : int
        Any number, or a value of another type if the footer is damaged.
    columns : list
        One struct per column chunk: field number -> value.
    """

    rows: Any
    columns: Any

    def metadata(self, number: int | None = None) -> Iterator[dict[int, Any]]:
        """Yield the metadata of the first ``number`` column chunks, or of all."""
        return (chunk[CHUNK_METADATA] for chunk in self.columns[:number])


def read_footer(file: IO[bytes], max_bytes: int | None = None) -> tuple[list[RowGroup], int]:
    """Read the footer and check the depth of the schema.

    Parameters
    ----------
    file : file
        Binary and seekable.
    max_bytes : int, optional
        Largest footer that is accepted.

    Returns
    -------
    list of RowGroup
        In the order of the file.
    int
        Size of the file in bytes.

    Raises
    ------
    OSError
        If the file cannot be read.
    ValueError
        If the file is not a parquet file, its footer is damaged, or its columns are nested too deeply.
    """
    size = file.seek(0, io.SEEK_END)
    file.seek(max(0, size - END_BYTES))
    end = file.read(END_BYTES)
    length = int.from_bytes(end[:4], "little")
    if end[4:] != MAGIC or length > size - END_BYTES or (max_bytes is not None and length > max_bytes):
        raise ValueError("not a parquet file")
    file.seek(size - END_BYTES - length)
    with footer_damage():
        footer = read_struct(io.BytesIO(file.read(length)))
        _check_depth(footer[SCHEMA])
        return [RowGroup(group[GROUP_ROWS], group[COLUMNS]) for group in footer[ROW_GROUPS]], size


@contextmanager
def footer_damage() -> Iterator[None]:
    """Raise `ValueError` if the block finds a field of a footer missing or of an unexpected type."""
    try:
        yield
    except (EOFError, LookupError, TypeError, AttributeError) as error:
        raise ValueError(f"its footer is damaged ({error!r:.80})") from None


def _check_depth(schema: list[dict[int, Any]]) -> None:
    """Raise `ValueError` for columns that are nested too deeply. A schema lists each column before its children."""
    expected: list[int] = []  # children still to come, for each open column
    for element in schema:
        while expected and expected[-1] == 0:
            expected.pop()
        if expected:
            expected[-1] -= 1
        expected.append(element.get(CHILDREN, 0))
        if len(expected) > MAX_NESTING:
            raise ValueError("its columns are nested too deeply")
