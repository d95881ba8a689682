"""Read the subset of Thrift's compact protocol that parquet uses. Structs become dicts: field number -> value.

https://github.com/apache/thrift/blob/master/doc/specs/thrift-compact-protocol.md
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import io

TRUE, FALSE, BYTE, INTEGERS, DOUBLE, BINARY, LISTS, STRUCT = 1, 2, 3, (4, 5, 6), 7, 8, (9, 10), 12
MAX_DEPTH = 16  # of nested structs and lists; parquet needs 9
MAX_BINARY = 1 << 24  # bytes


def read_struct(file: io.BytesIO, depth: int = MAX_DEPTH) -> dict[int, Any]:
    """Read a struct.

    Raises
    ------
    EOFError
        If the file ends inside the struct.
    ValueError
        If the struct is damaged.
    """
    fields: dict[int, Any] = {}
    number = 0
    while head := _byte(file):
        number = number + (head >> 4) if head >> 4 else _zigzag(file)
        fields[number] = _value(file, head & 15, depth)
    return fields


def _value(file: io.BytesIO, kind: int, depth: int) -> Any:
    if depth == 0:
        raise ValueError("a header is nested too deeply")
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
        element = BYTE if head & 15 in (TRUE, FALSE) else head & 15  # a boolean takes a byte only in lists
        return [_value(file, element, depth - 1) for _ in range(size)]
    if kind == STRUCT:
        return read_struct(file, depth - 1)
    raise ValueError("a header cannot be read")


def _zigzag(file: io.BytesIO) -> int:
    number = _varint(file)
    return (number >> 1) ^ -(number & 1)


def _varint(file: io.BytesIO) -> int:
    number = shift = 0
    while (byte := _byte(file)) & 128:
        number |= (byte & 127) << shift
        shift += 7
        if shift > 63:
            raise ValueError("a header has too large a number")
    return number | byte << shift


def _byte(file: io.BytesIO) -> int:
    return _bytes(file, 1)[0]


def _bytes(file: io.BytesIO, size: int) -> bytes:
    if size > MAX_BINARY:
        raise ValueError("a header is too large")
    content = file.read(size)
    if len(content) < size:
        raise EOFError
    return content
