"""Read protobuf messages without their declarations: field numbers and values.

A field is a varint ``number << 3 | type``, followed by a varint (type 0), 8 bytes (1), a varint length and as many
bytes (2), or 4 bytes (5).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from gluon_lifted.cursor import Cursor

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5


def fields(cursor: Cursor) -> Iterator[tuple[int, int | memoryview]]:
    """Iterate over the fields of a message as (number, value): an int for a varint, else bytes.

    Raises
    ------
    DataError
        If the message is truncated, or not a protobuf message.
    """
    while cursor.left:
        tag = _varint(cursor)
        number, kind = tag >> 3, tag & 7
        what = f"field {number}"
        if not number:  # a file of zeros would be a billion such fields
            raise cursor.damaged("a field has the number 0")
        if kind == VARINT:
            yield number, _varint(cursor)
        elif kind == BYTES:
            yield number, cursor.take(_varint(cursor), what)
        elif kind in (FIXED32, FIXED64):
            yield number, cursor.take(4 if kind == FIXED32 else 8, what)
        else:
            raise cursor.damaged(f"{what} has wire type {kind}; expected 0, 1, 2 or 5")


def integers(values: Iterable[int | memoryview], highest_count: int, where: str) -> list[int]:
    """Read a repeated integer: packed into one field, or one field each. Stops above ``highest_count`` of them."""
    numbers: list[int] = []
    for value in values:
        if isinstance(value, int):
            numbers.append(value)
            continue
        packed = Cursor(value, where)
        while packed.left and len(numbers) <= highest_count:
            numbers.append(_varint(packed))
    return numbers


def _varint(cursor: Cursor) -> int:
    """Read an integer of at most 64 bits: 7 bits per byte, lowest first. The eighth bit says that more follow."""
    value = 0
    for shift in range(0, 70, 7):
        byte = cursor.take(1, "a varint")[0]
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value
    raise cursor.damaged("a varint has more than 10 bytes")
