"""Columns as JSON values, for databases that store documents."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc

if TYPE_CHECKING:
    from collections.abc import Callable


def json_type(kind: pa.DataType) -> str | None:
    """Return the JSON type of a column: text, bool, integer, float, datetime, object or a list such as ``text[]``.

    None if its values have no lossless form in JSON.
    """
    simple: tuple[tuple[Callable[[pa.DataType], bool], str], ...] = (
        (pa.types.is_boolean, "bool"),
        (pa.types.is_integer, "integer"),
        (pa.types.is_floating, "float"),
        (pa.types.is_timestamp, "datetime"),
        (pa.types.is_date, "datetime"),
        (_is_text, "text"),
        (pa.types.is_null, "text"),
    )
    for matches, name in simple:
        if matches(kind):
            return name
    if pa.types.is_dictionary(kind):
        return json_type(kind.value_type)
    if pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind):
        inner = json_type(kind.value_type)
        return None if inner in (None, "datetime") else f"{inner}[]"
    if pa.types.is_struct(kind):
        inner_types = [json_type(kind.field(number).type) for number in range(kind.num_fields)]
        return None if {None, "datetime"} & set(inner_types) else "object"
    return None


def json_values(column: pa.ChunkedArray) -> list[Any]:
    """Return the values of a column: dates in ISO 8601, and None for null and for numbers that are not finite."""
    kind = column.type
    if pa.types.is_dictionary(kind):
        column, kind = column.cast(kind.value_type), kind.value_type
    if pa.types.is_floating(kind):
        column = pc.if_else(pc.is_finite(column), column, pa.scalar(None, kind))
    if pa.types.is_timestamp(kind):  # Python has no nanoseconds
        column = column.cast(pa.timestamp("us", kind.tz), safe=False)
    values: list[Any] = column.to_pylist()
    if json_type(kind) == "datetime":
        return [None if value is None else value.isoformat() for value in values]
    return values


def _is_text(kind: pa.DataType) -> bool:
    return pa.types.is_string(kind) or pa.types.is_large_string(kind) or str(kind) == "string_view"
