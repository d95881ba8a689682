"""Values of tables as text and as images."""

from __future__ import annotations

import os
from typing import NamedTuple

import pyarrow as pa

from serve_cli.sources.image_row import Cell


class TableImage(NamedTuple):
    """An image as a table has it: its bytes, or a path to them, or both."""

    content: bytes | None = None
    path: str | None = None


def image_of(value: Cell | str | None) -> TableImage:
    """Of a column that holds images; text is none."""
    if not isinstance(value, Cell):
        return TableImage()
    scalar = value.column[value.index]
    if not isinstance(scalar, pa.StructScalar):
        return TableImage(_bytes(scalar))
    if not scalar.is_valid:
        return TableImage()
    path = scalar["path"] if scalar.type.get_field_index("path") >= 0 else None
    content = scalar["bytes"] if scalar.type.get_field_index("bytes") >= 0 else None
    return TableImage(_bytes(content), _text(path))


def text_of(value: Cell | str | None) -> str | None:
    """Text, or a number as text; bytes that are not UTF-8 as `os.fsdecode` gives them. None if there is none."""
    return _text(value.column[value.index]) if isinstance(value, Cell) else value


def _text(scalar: pa.Scalar | None) -> str | None:
    content = _bytes(scalar)
    if content is not None:
        return os.fsdecode(content)
    value = None if scalar is None else scalar.as_py()
    return None if value is None else str(value)


def _bytes(scalar: pa.Scalar | None) -> bytes | None:
    """Of binary or text, which need not be UTF-8."""
    while isinstance(scalar, (pa.DictionaryScalar, pa.RunEndEncodedScalar)):
        scalar = scalar.value
    if not isinstance(scalar, pa.BinaryScalar) or not scalar.is_valid:
        return None
    return bytes(scalar.as_buffer())
