"""Update a LanceDB table in one commit."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow as pa

from serve_cli.retrieval.load.target import VECTOR_COLUMN

if TYPE_CHECKING:
    from lancedb.table import Table

MERGE_BYTES = 1 << 30  # merge_insert holds both sides in memory; larger tables are overwritten


def can_merge(table: Table, schema: pa.Schema, row_bytes: int, rows: int) -> bool:
    """Whether `merge` works for these columns within bounded memory."""
    flat = not any(pa.types.is_nested(field.type) for field in schema if field.name != VECTOR_COLUMN)
    return flat and table.schema.equals(schema) and row_bytes * max(rows, table.count_rows()) <= MERGE_BYTES


def merge(table: Table, rows: pa.RecordBatchReader) -> None:
    """Make a table hold exactly these rows. Rows that have not changed keep their place and their index."""
    names = [f"`{field.name}`" for field in rows.schema if field.name != "id"]
    changed = " OR ".join(
        f"target.{name} != source.{name} OR (target.{name} IS NULL) != (source.{name} IS NULL)" for name in names
    )
    builder = table.merge_insert("id").when_matched_update_all(where=changed).when_not_matched_insert_all()
    builder.when_not_matched_by_source_delete().execute(rows)
