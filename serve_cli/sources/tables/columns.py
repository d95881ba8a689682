"""The columns of a table that hold images, paths, ids and labels: their names, types and values."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, NamedTuple

import pyarrow as pa

from gluon_lifted.errors import ConfigError, DataError
from serve_cli.sources.image_row import Cell

if TYPE_CHECKING:
    from serve_cli.sources.location import Location


IMAGES = "binary, or a struct with a binary field 'bytes'"
PATHS = "text, or binary as file systems have it"
NAMES = "text or whole numbers"
DEFAULT_BYTES = "bytes"


@dataclass(frozen=True)
class Columns:
    """Names of a table's columns. A column that the table lacks is ignored.

    Parameters
    ----------
    id : str
        The row's id. Default: the path, or else the row's number from 0.
    path : str
        The image's path: relative to the table's folder, absolute, or a URL.
    bytes : str
        The image itself, in parquet: binary, or a struct with fields ``bytes`` and ``path``. Preferred to the path.
    label : str
        The image's class.
    """

    id: str = "id"
    path: str = "path"
    bytes: str = "bytes"
    label: str = "label"

    def __post_init__(self) -> None:
        names = [getattr(self, field.name) for field in fields(self)]
        if len(set(names)) < len(names):
            raise ConfigError(
                f"the columns of id, path, bytes and label are {', '.join(names)}; give four different names."
            )


@dataclass(frozen=True)
class ImageColumns:
    """Names of the columns that a table has, or None for a column that it lacks."""

    id: str | None
    path: str | None
    bytes: str | None
    label: str | None

    def names(self) -> set[str]:
        """Return the names of the columns that the table has."""
        return {name for name in (self.id, self.path, self.bytes, self.label) if name is not None}


def image_columns(location: Location, columns: Columns, schema: pa.Schema) -> ImageColumns:
    """Find the columns of a table that hold images, paths, ids and labels.

    If there are paths, a column ``bytes`` of another type than images is carried along like any other: it may be a
    number of bytes.

    Raises
    ------
    DataError
        If one of them has an unsuitable type, or there are neither paths nor images.
    """
    present = ImageColumns(
        *(name if name in schema.names else None for name in (columns.id, columns.path, columns.bytes, columns.label))
    )
    if present.bytes == DEFAULT_BYTES and present.path and not is_image_type(schema.field(present.bytes).type):
        present = replace(present, bytes=None)
    if present.path is None and present.bytes is None:
        images = [field.name for field in schema if is_image_type(field.type) and not pa.types.is_null(field.type)]
        hint = (
            f"If {images[0]!r} holds the images, give --bytes-column {images[0]}."
            if images
            else "Name the column of paths with --path-column, or that of images with --bytes-column."
        )
        raise DataError(
            f"{location}: has neither a column {columns.bytes!r} nor {columns.path!r}; "
            f"found {', '.join(schema.names)}. {hint}"
        )
    for name, fits, expected in (
        (present.bytes, is_image_type, f"images ({IMAGES})"),
        (present.path, _is_path_type, f"paths ({PATHS})"),
        (present.id, _is_name_type, f"ids ({NAMES})"),
        (present.label, _is_name_type, f"labels ({NAMES})"),
    ):
        if name is not None and not fits(schema.field(name).type):
            raise DataError(
                f"{location}: column {name!r} is {schema.field(name).type}; expected {expected}. Convert it, or name "
                "another column."
            )
    return present


def is_image_type(kind: pa.DataType) -> bool:
    """Whether a column can hold images: binary, or Hugging Face's struct of bytes and path."""
    if pa.types.is_struct(kind):
        number = kind.get_field_index("bytes")
        return (
            number >= 0 and not pa.types.is_struct(kind.field(number).type) and is_image_type(kind.field(number).type)
        )
    return _is_binary(_value_type(kind)) or pa.types.is_null(kind)


def _is_path_type(kind: pa.DataType) -> bool:
    kind = _value_type(kind)
    return _is_text(kind) or pa.types.is_null(kind) or (_is_binary(kind) and not pa.types.is_fixed_size_binary(kind))


def _is_name_type(kind: pa.DataType) -> bool:
    kind = _value_type(kind)
    return _is_text(kind) or pa.types.is_integer(kind) or pa.types.is_null(kind)


def _value_type(kind: pa.DataType) -> pa.DataType:
    """Return the type of the values in a dictionary or run-end encoded column."""
    while pa.types.is_dictionary(kind) or pa.types.is_run_end_encoded(kind):
        kind = kind.value_type
    return kind


def _is_text(kind: pa.DataType) -> bool:
    return _is(kind, "string", "large_string", "string_view")


def _is_binary(kind: pa.DataType) -> bool:
    return _is(kind, "binary", "large_binary", "binary_view") or pa.types.is_fixed_size_binary(kind)


def _is(kind: pa.DataType, *names: str) -> bool:
    return str(kind) in names  # by name: pyarrow 15 has no view types


class TableImage(NamedTuple):
    """An image in a table: its bytes, its path, or both."""

    content: bytes | None = None
    path: str | None = None


def image_of(value: Cell | str | float | None) -> TableImage:
    """Extract the image from a value of an image column. Text contains none."""
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


def text_of(value: Cell | str | float | None) -> str | None:
    """Convert a value to text, with `os.fsdecode` if it is binary; None for a missing value, JSON for other values."""
    if isinstance(value, Cell):
        return _text(value.column[value.index])
    return value if value is None or isinstance(value, str) else json.dumps(value)


def _text(scalar: pa.Scalar | None) -> str | None:
    content = _bytes(scalar)
    if content is not None:
        return os.fsdecode(content)
    value = None if scalar is None else scalar.as_py()
    return None if value is None else str(value)


def _bytes(scalar: pa.Scalar | None) -> bytes | None:
    """Return the bytes of a binary or text value, which may be invalid UTF-8."""
    while isinstance(scalar, (pa.DictionaryScalar, pa.RunEndEncodedScalar)):
        scalar = scalar.value
    if not isinstance(scalar, pa.BinaryScalar) or not scalar.is_valid:
        return None
    return bytes(scalar.as_buffer())
