"""Fields of a Milvus collection, and batches as its rows."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
from pymilvus import CollectionSchema, DataType, FieldSchema

from gluon_lifted.errors import ConfigError, DataError
from serve_cli.retrieval.load.target import VECTOR_COLUMN
from serve_cli.retrieval.load.targets.json_values import json_type, json_values

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from serve_cli.choices import Dtype
    from serve_cli.embeddings.stream import EmbeddedBatch
    from serve_cli.retrieval.load.target import LoadPlan

FIELD_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,254}")
MOST_DIMENSIONS = 32_768
TEXT_BYTES = 65_535  # the most that Milvus takes
LIST_LENGTH = 4_096
VECTORS: dict[Dtype, DataType] = {
    "float32": DataType.FLOAT_VECTOR,
    "float16": DataType.FLOAT16_VECTOR,
    "int8": DataType.INT8_VECTOR,
}
NUMBERS = {  # unsigned integers need the next larger type
    "int8": DataType.INT8,
    "uint8": DataType.INT16,
    "int16": DataType.INT16,
    "uint16": DataType.INT32,
    "int32": DataType.INT32,
    "uint32": DataType.INT64,
    "int64": DataType.INT64,
    "halffloat": DataType.FLOAT,
    "float": DataType.FLOAT,
    "double": DataType.DOUBLE,
    "bool": DataType.BOOL,
}


def collection_schema(plan: LoadPlan) -> CollectionSchema:
    """Return the fields, without the dynamic field, which would accept misspelled ones. Raises `ConfigError`."""
    fields = [_field(column) for column in plan.schema]
    vector = FieldSchema(VECTOR_COLUMN, VECTORS[plan.dtype], dim=plan.dim)
    return CollectionSchema([*fields, vector], enable_dynamic_field=False)


def field_texts(plan: LoadPlan) -> dict[str, str]:
    """Describe the fields."""
    return {
        field.name: field.dtype.name.lower() + (f"({plan.dim})" if field.name == VECTOR_COLUMN else "")
        for field in collection_schema(plan).fields
    }


def rows_of(batch: EmbeddedBatch, dtype: Dtype) -> list[dict[str, Any]]:
    """Return the rows as the client takes them. Raises `DataError` if a text or list is too long."""
    columns = {name: json_values(batch.table[name]) for name in batch.table.column_names}
    for name, values in columns.items():
        _check_lengths(name, batch.table[name].type, values)
    columns[VECTOR_COLUMN] = list(_stored(batch.embedding, dtype))
    return [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]


def chunks(rows: list[dict[str, Any]], size: int) -> Iterator[list[dict[str, Any]]]:
    """Iterate over parts that fit in a message."""
    return (rows[start : start + size] for start in range(0, len(rows), size))


def _field(column: pa.Field) -> FieldSchema:
    """Return the field of a column. The id is the primary key. Raises `ConfigError`."""
    if not FIELD_NAME.fullmatch(column.name):
        raise ConfigError(
            f"Milvus field names have only letters, digits and _, not {column.name!r:.100}; leave the column out "
            "with --columns, or rename it in the source."
        )
    kind, options = _type(column.type)
    if kind is None:
        raise ConfigError(
            f"Milvus cannot hold the column {column.name!r:.100} of type {column.type!s:.100}; leave it out with "
            "--columns."
        )
    if column.name == "id":
        return FieldSchema("id", kind, is_primary=True, auto_id=False, **options)
    return FieldSchema(column.name, kind, nullable=True, **options)


def _type(kind: pa.DataType) -> tuple[DataType | None, dict[str, Any]]:
    """Return the type of a field with its options, or None if Milvus has none."""
    if pa.types.is_dictionary(kind):
        return _type(kind.value_type)
    name = json_type(kind)
    if name in ("text", "datetime"):  # times as ISO 8601, since only new servers have a type for them
        return DataType.VARCHAR, {"max_length": TEXT_BYTES}
    if name == "object" or (name or "").endswith("[][]") or name == "object[]":
        return DataType.JSON, {}
    if (name or "").endswith("[]"):
        element, options = _type(kind.value_type)
        return DataType.ARRAY if element else None, {"element_type": element, "max_capacity": LIST_LENGTH, **options}
    return NUMBERS.get(str(kind)), {}


def _stored(embedding: NDArray[np.float32], dtype: Dtype) -> NDArray[Any]:
    """Return vectors in the storage type. int8 scales each row, which does not change its cosines."""
    if dtype == "int8":
        largest = np.abs(embedding).max(axis=1, keepdims=True, initial=1e-30)
        scaled: NDArray[np.float32] = embedding * (127 / largest)
        return np.rint(scaled).astype(np.int8)
    return embedding.astype(dtype, copy=False)


def _check_lengths(name: str, kind: pa.DataType, values: list[Any]) -> None:
    text = json_type(kind) == "text"
    if not text and not isinstance(next((value for value in values if value is not None), None), list):
        return
    most, unit = (TEXT_BYTES, "bytes") if text else (LIST_LENGTH, "elements")
    for value in values:
        # A letter takes up to four bytes, so that most texts need not be encoded.
        if value is None or len(value) * (4 if text else 1) <= most:
            continue
        if (len(value.encode()) if text else len(value)) > most:
            raise DataError(
                f"the column {name!r:.100} has a value of more than {most} {unit}, which Milvus cannot hold; leave the "
                "column out with --columns."
            )
