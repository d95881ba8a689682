"""Decide what is loaded: columns, storage type, index, and the fingerprint by which a load is resumed."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING

from gluon_lifted.errors import ConfigError
from gluon_lifted.redaction import without_credentials
from serve_cli.embeddings.part_columns import MANIFEST
from serve_cli.retrieval.load.target import VECTOR_COLUMN, LoadPlan

if TYPE_CHECKING:
    import pyarrow as pa

    from serve_cli.choices import Dtype
    from serve_cli.embeddings.stream import EmbeddingStream
    from serve_cli.retrieval.load.load_options import LoadOptions
    from serve_cli.retrieval.load.target import Target

ID = "id"
ROWS_MEASURED = 1_000
BATCH_BYTES = 32 << 20  # of the vectors of a batch


def plan_load(stream: EmbeddingStream, options: LoadOptions, kind: type[Target], repeated: int) -> LoadPlan:
    """Check the options against the embeddings and the database's abilities.

    Parameters
    ----------
    stream : EmbeddingStream
        The embeddings. If some may not be finite, they have been read to the end once.
    options : LoadOptions
        What the user chose.
    kind : type of Target
        The database.
    repeated : int
        Rows that are left out because they repeat an id.

    Raises
    ------
    ConfigError
        If a column is missing, or the database lacks the storage type or the index.
    """
    table = stream.name if options.table is None else options.table
    if not table.strip():
        raise ConfigError("the table name is empty; give one with --table.")
    schema = _chosen_columns(stream, options.columns)
    dtype, batch_rows = _dtype(stream, options.dtype, kind), _batch_rows(kind, stream.card.dim)
    return LoadPlan(
        table=table,
        schema=schema,
        dim=stream.card.dim,
        distance=stream.card.distance,
        dtype=dtype,
        index=_index(options.index, kind),
        rows=stream.rows - stream.not_finite - repeated,
        row_bytes=_row_bytes(stream, schema),
        batch_rows=batch_rows,
        fingerprint=_fingerprint(stream, schema, dtype, batch_rows),
        model=stream.model_sha256 or stream.card.name,
        source=without_credentials(stream.source or str(stream.folder.resolve())),
        overwrite=options.overwrite,
    )


def _chosen_columns(stream: EmbeddingStream, chosen: tuple[str, ...] | None) -> pa.Schema:
    """Select columns in the order of the embeddings. ``id`` always stays."""
    import pyarrow as pa

    if chosen is None:
        return stream.schema
    missing = [name for name in chosen if name not in stream.schema.names and name != VECTOR_COLUMN]
    if missing:
        raise ConfigError(
            f"{stream.folder}: has no column {missing[0]!r:.100}; --columns may name {', '.join(stream.schema.names)}."
        )
    return pa.schema([field for field in stream.schema if field.name == ID or field.name in chosen])


def _dtype(stream: EmbeddingStream, chosen: Dtype | None, kind: type[Target]) -> Dtype:
    """Return the chosen storage type; by default the folder's if the database has it, otherwise float32."""
    if chosen is None:
        return next((name for name in kind.dtypes if name == stream.dtype), kind.dtypes[0])
    if chosen not in kind.dtypes:
        raise ConfigError(f"{kind.database} has no vectors of type {chosen}; --dtype may be {_listed(kind.dtypes)}.")
    return chosen


def _index(chosen: str | None, kind: type[Target]) -> str:
    if chosen is None:
        return kind.indexes[0]
    if chosen not in kind.indexes:
        raise ConfigError(f"{kind.database} has no index {chosen!r:.40}; --index may be {_listed(kind.indexes)}.")
    return chosen


def _listed(choices: tuple[str, ...]) -> str:
    return " or ".join(filter(None, [", ".join(choices[:-1]), choices[-1]]))


def _batch_rows(kind: type[Target], dim: int) -> int:
    return max(min(kind.batch_rows, BATCH_BYTES // (4 * dim)), 1)


def _row_bytes(stream: EmbeddingStream, schema: pa.Schema) -> float:
    first = next(stream.batches(ROWS_MEASURED), None)
    return first.table.select(schema.names).nbytes / len(first) if first else 0.0


def _fingerprint(stream: EmbeddingStream, schema: pa.Schema, dtype: str, batch_rows: int) -> str:
    """Hash the manifest, which names model, parts and time, and what the rows of a batch depend on."""
    settings = [[(field.name, str(field.type)) for field in schema], dtype, batch_rows]
    digest = hashlib.sha256((stream.folder / MANIFEST).read_bytes())
    digest.update(json.dumps(settings).encode())
    return digest.hexdigest()
