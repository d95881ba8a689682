"""Columns of a LanceDB table, and batches in its types."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import lancedb
import numpy as np
import pyarrow as pa

from gluon_lifted.errors import ConfigError
from serve_cli.retrieval.load.target import VECTOR_COLUMN
from serve_cli.retrieval.load.targets.stamp import Stamp

if TYPE_CHECKING:
    from lancedb.table import Table

    from serve_cli.embeddings.stream import EmbeddedBatch
    from serve_cli.retrieval.load.target import LoadPlan

STAMP = b"lifted"  # key in the metadata of the vector's field, since LanceDB can replace that of fields only
RESERVED = frozenset({"_distance", "_relevance_score", "_rowaddr", "_rowid", "_rowoffset", "_score"})
NUMBERS = {"float32": np.float32, "float16": np.float16}


def table_schema(plan: LoadPlan, stamp: Stamp) -> pa.Schema:
    """Return the columns of the table, without metadata of the embedding files, since Lance acts on some."""
    columns = [pa.field(field.name, _stored(field.type)) for field in plan.schema]
    vector = pa.list_(pa.from_numpy_dtype(NUMBERS[plan.dtype]), plan.dim)
    return pa.schema([*columns, pa.field(VECTOR_COLUMN, vector, metadata={STAMP: stamp.to_json()})])


def to_arrow(batch: EmbeddedBatch, schema: pa.Schema) -> pa.Table:
    """Convert a batch, with its vectors, to the types of the table."""
    kind = schema.field(VECTOR_COLUMN).type
    numbers = np.ascontiguousarray(batch.embedding, kind.value_type.to_pandas_dtype()).ravel()
    vectors = pa.FixedSizeListArray.from_arrays(pa.array(numbers), type=kind)
    columns = [column.cast(field.type) for column, field in zip(batch.table.columns, schema, strict=False)]
    return pa.table([*columns, vectors], schema=schema)


def stamp_of(table: Table) -> Stamp | None:
    """Return the stamp of a table, or None if this program did not write it."""
    if VECTOR_COLUMN not in table.schema.names:
        return None
    return Stamp.from_json((table.schema.field(VECTOR_COLUMN).metadata or {}).get(STAMP))


def set_stamp(table: Table, stamp: Stamp) -> None:
    """Replace the stamp of a table, in a commit of its own."""
    table.update_field_metadata({"path": VECTOR_COLUMN, "metadata": {STAMP.decode(): stamp.to_json()}})


def check_columns(schema: pa.Schema) -> None:
    """Raise `ConfigError` if LanceDB refuses a column when asked in memory."""
    for field in schema:
        reason = "the name is LanceDB's own" if field.name in RESERVED else _reason(field)
        if reason:
            raise ConfigError(
                f"LanceDB cannot hold the column {field.name!r:.100} of type {field.type!s:.100}: {reason}; leave it "
                "out with --columns."
            )


def _reason(field: pa.Field) -> str | None:
    """Return why LanceDB refuses a column, or None if it accepts it."""
    if "`" in field.name:
        return "a backtick in a name cannot be quoted"
    schema = pa.schema([field])
    try:
        table = lancedb.connect("memory://").create_table("column", schema=schema)
        table.add(pa.table([pa.array([], field.type)], schema=schema))
    except (ValueError, RuntimeError, TypeError, pa.ArrowException) as error:  # LanceDB has no errors of its own
        return plain_reason(error)
    return None


def plain_reason(error: Exception) -> str:
    """Shorten a message of LanceDB: without the Rust source's path and line."""
    text = str(error).split(", /")[0].split("\n")[0]
    return json.dumps(text, ensure_ascii=False)[1:-1].rstrip(".")[:300]


def _stored(kind: pa.DataType) -> pa.DataType:
    """Return the type in which a column is stored: that of its values where Lance lacks the encoding."""
    if isinstance(kind, pa.BaseExtensionType):
        return _stored(kind.storage_type)
    return {"string_view": pa.string(), "binary_view": pa.binary()}.get(str(kind), kind)
