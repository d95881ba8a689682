"""What a page can filter by: columns of an index, their types, distinct values if few, minimum and maximum."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import types

from serve_cli.retrieval.search.as_json import json_value

if TYPE_CHECKING:
    from serve_cli.retrieval.index.catalog import CatalogIndex

ROWS = 100_000  # the first rows, from which values are taken
MAX_VALUES = 30  # distinct values of a column that are listed
MAX_TEXT = 200  # characters of a listed value
HIDDEN = ("id", "path")  # ids are all different, paths are the server's


def describe_columns(catalog: CatalogIndex) -> list[dict[str, Any]]:
    """Describe the columns of an index, apart from ids and paths, by its first rows."""
    fields = [field for field in catalog.schema if field.name not in HIDDEN]
    names = [field.name for field in fields]
    chunks, count = [], 0
    for segment in catalog.segments:
        for _, batch in segment.batches(names):
            if count < ROWS:
                chunks.append(batch.slice(0, ROWS - count))
                count += len(chunks[-1])
    table = pa.Table.from_batches(chunks, pa.schema(fields))
    return [_describe(field, table[number]) for number, field in enumerate(fields)]


def _describe(field: pa.Field, column: pa.ChunkedArray) -> dict[str, Any]:
    description: dict[str, Any] = {
        "name": field.name,
        "type": str(field.type),
        "values": None,
        "min": None,
        "max": None,
    }
    if types.is_string(field.type) or types.is_large_string(field.type) or types.is_boolean(field.type):
        values = pc.unique(column.drop_null())
        if len(values) <= MAX_VALUES:
            listed = values.sort().to_pylist()
            if all(isinstance(value, bool) or len(value) <= MAX_TEXT for value in listed):
                description["values"] = listed
    elif types.is_integer(field.type) or types.is_floating(field.type):
        if types.is_floating(field.type):
            column = column.cast(pa.float64()).filter(pc.is_finite(column.cast(pa.float64())))
        least = pc.min_max(column).as_py()
        description |= {end: json_value(least[end]) for end in ("min", "max")}
    return description
