"""Find out whether an Arrow file is compressed before anything is decompressed. pyarrow does not report it.

Footer and messages are FlatBuffers: https://arrow.apache.org/docs/format/Columnar.html#ipc-file-format
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

END = struct.Struct("<i6s")  # length of the footer, magic
BLOCK = struct.Struct("<qi4xq")  # offset, bytes of metadata, bytes of the body
CONTINUATION = 0xFFFFFFFF  # before the length of a message's metadata, since Arrow 0.15
DICTIONARIES, RECORD_BATCHES = 2, 3  # fields of a footer
HEADER_TYPE, HEADER = 1, 2  # fields of a message
DICTIONARY_BATCH = 2  # a message's type
DATA = 1  # field of a dictionary batch
COMPRESSION = 3  # field of a record batch


def is_compressed(file: memoryview) -> bool:
    """Return whether a record batch or dictionary of an Arrow file is compressed.

    Raises
    ------
    ValueError
        If footer or messages are damaged.
    """
    try:
        return any(_field(file, batch, COMPRESSION) is not None for batch in _batches(file))
    except struct.error as error:
        raise ValueError(f"its footer is damaged ({error!s:.100})") from None


def _batches(file: memoryview) -> Iterator[int]:
    """Yield the positions of all record batches, those of dictionaries included."""
    length, _ = END.unpack_from(file, _valid(len(file) - END.size))
    footer = _target(file, _valid(len(file) - END.size - length))
    for field in (DICTIONARIES, RECORD_BATCHES):
        blocks = _field(file, footer, field)
        if blocks is None:
            continue
        blocks = _target(file, blocks)
        for number in range(_number(file, blocks)):
            offset, _, _ = BLOCK.unpack_from(file, blocks + 4 + BLOCK.size * number)
            yield _batch(file, _valid(offset))


def _batch(file: memoryview, offset: int) -> int:
    start = offset + (8 if _number(file, offset) == CONTINUATION else 4)
    message = _target(file, start)
    kind, header = _field(file, message, HEADER_TYPE), _field(file, message, HEADER)
    if kind is None or header is None:
        raise ValueError("a message of it has no header")
    batch = _target(file, header)
    if struct.unpack_from("<B", file, kind)[0] != DICTIONARY_BATCH:
        return batch
    data = _field(file, batch, DATA)
    if data is None:
        raise ValueError("a dictionary of it has no values")
    return _target(file, data)


def _field(file: memoryview, table: int, number: int) -> int | None:
    """Return the position of a table's field, or None if the table lacks it."""
    (back,) = struct.unpack_from("<i", file, table)
    layout = _valid(table - back)
    size, _ = struct.unpack_from("<HH", file, layout)
    slot = 4 + 2 * number
    if slot + 2 > size:
        return None
    (offset,) = struct.unpack_from("<H", file, layout + slot)
    return table + offset if offset else None


def _target(file: memoryview, position: int) -> int:
    """Follow the reference at a position."""
    return position + _number(file, position)


def _number(file: memoryview, position: int) -> int:
    return int(struct.unpack_from("<I", file, position)[0])


def _valid(position: int) -> int:
    if position < 0:  # struct counts negative positions from the end
        raise ValueError("its footer is damaged")
    return position
