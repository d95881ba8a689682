"""Load into PostgreSQL: binary COPY into a staging table, index, and a switch by renaming in one transaction."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from psycopg import ClientCursor, sql

from gluon_lifted.errors import ConfigError, RunError
from serve_cli.retrieval.load.target import VECTOR_COLUMN, Preview
from serve_cli.retrieval.load.targets.postgres import errors, switch
from serve_cli.retrieval.load.targets.postgres.catalog import (
    check_relation,
    check_server,
    find_relation,
    schema_and_table,
    vector_schema,
)
from serve_cli.retrieval.load.targets.postgres.copy_format import copy_stream
from serve_cli.retrieval.load.targets.postgres.index import TYPES, build, number_bytes, vector_index
from serve_cli.retrieval.load.targets.postgres.names import check_name, derived, identifier
from serve_cli.retrieval.load.targets.postgres.session import Session
from serve_cli.retrieval.load.targets.postgres.types import column_type
from serve_cli.retrieval.load.targets.stamp import Stamp

if TYPE_CHECKING:
    from collections.abc import Sequence

    import psycopg
    from numpy.typing import NDArray

    from gluon_lifted.errors import LiftedError
    from serve_cli.choices import Dtype
    from serve_cli.embeddings.stream import EmbeddedBatch
    from serve_cli.retrieval.load.target import LoadPlan
    from serve_cli.retrieval.load.targets.postgres.types import ColumnType

MOST_DIM = 16_000  # VECTOR_MAX_DIM and HALFVEC_MAX_DIM of pgvector
ROW_OVERHEAD = 24 + 4 + 8  # bytes: tuple header, item pointer, alignment
MOST_INLINE_BYTES = 3_900  # two rows a page; wider vectors stay in the TOAST table, where they fill pages better
COPY_BYTES_PER_S = 80e6  # measured by benchmarks/load.py, as are the rates of the indexes


class PostgresTarget:
    """A table with a vector column; see `serve_cli.retrieval.load.target.Target` for the methods.

    One transaction writes a batch and its number to a table beside the staging table, so that a batch is there exactly
    once, no matter when the load is killed.
    """

    database: ClassVar[str] = "PostgreSQL"
    dtypes: ClassVar[tuple[Dtype, ...]] = ("float32", "float16")
    indexes: ClassVar[tuple[str, ...]] = ("hnsw", "ivfflat", "none")
    batch_rows: ClassVar[int] = 10_000

    def __init__(self, url: str, plan: LoadPlan) -> None:
        self._settings = errors.connection_settings(url)
        self._session, self._plan = Session(self._settings), plan
        self._types = self._column_types()
        self._index = vector_index(plan)
        self._schema, self._table, self._extension = "", plan.table, ""
        self._numbers: set[int] = set()

    def preview(self) -> Preview:
        """See `Target.preview`."""
        connection, server = self._session.open(), self._session.server
        check_server(connection, server)
        extension = vector_schema(connection, server)
        self._schema, self._table = schema_and_table(connection, server, self._plan.table)
        check_name(self._table, "table")
        return Preview(
            columns={**{name: kind.sql for name, kind in self._types.items()}, VECTOR_COLUMN: self._vector_type()},
            action=self._action(connection, create_extension=extension is None),
            index=self._index.text() if self._index else "none",
            bytes=self._table_bytes() + (self._index.bytes if self._index else 0),
            seconds=self._table_bytes() / COPY_BYTES_PER_S + (self._index.seconds if self._index else 0),
            complete=self._complete(connection),
        )

    def prepare(self) -> None:
        """See `Target.prepare`."""
        self._session.lock(f"{self._schema}.{self._table}")
        connection, server = self._session.open(), self._session.server
        with connection.transaction():
            connection.execute("CREATE EXTENSION IF NOT EXISTS vector")
            self._extension = vector_schema(connection, server) or ""
            staging = find_relation(connection, self._schema, self._staging)
            numbers = find_relation(connection, self._schema, self._batches)
            if any(relation and relation.stamp is None for relation in (staging, numbers)):
                raise RunError(
                    f"{server}: the table {self._staging!r} or {self._batches!r} exists, but is not a staging table of "
                    "`lifted load`; rename it, or choose another --table."
                )
            stamps = {relation and relation.stamp and relation.stamp.fingerprint for relation in (staging, numbers)}
            if stamps != {self._plan.fingerprint}:
                self._create_staging(connection)
            elif staging and staging.stamp != Stamp.of(self._plan):  # another kind of index
                connection.execute(sql.SQL("DROP INDEX IF EXISTS {}").format(self._name(self._staging_index)), [])
                self._stamp(connection, self._staging)
            rows = connection.execute(sql.SQL("SELECT number FROM {}").format(self._name(self._batches)), [])
            self._numbers = {row[0] for row in rows}

    def loaded(self, batch: EmbeddedBatch, number: int) -> bool:
        """See `Target.loaded`."""
        return number in self._numbers

    def write(self, batch: EmbeddedBatch, number: int) -> None:
        """See `Target.write`."""
        connection = self._session.open()
        claim = sql.SQL("INSERT INTO {} VALUES (%s) ON CONFLICT DO NOTHING RETURNING number")
        names = [VECTOR_COLUMN, *self._types]
        copy = sql.SQL("COPY {} ({}) FROM STDIN (FORMAT binary)").format(
            sql.Identifier(self._schema, self._staging), sql.SQL(", ").join(map(sql.Identifier, names))
        )
        with connection.transaction(), connection.cursor() as cursor:
            if cursor.execute(claim.format(self._name(self._batches)), [number]).fetchone() is None:
                return  # committed, but the answer was lost
            with cursor.copy(copy) as stream:
                for chunk in copy_stream(batch.table, list(self._types.values()), batch.embedding, self._plan.dtype):
                    stream.write(chunk)

    def build_index(self) -> None:
        """See `Target.build_index`."""
        connection = self._session.open()
        key = derived(self._staging, "_pkey")
        if find_relation(connection, self._schema, key) is None:
            add = sql.SQL("ALTER TABLE {} ADD CONSTRAINT {} PRIMARY KEY (id)")
            connection.execute(add.format(self._name(self._staging), identifier(key)), [])
        if self._index is not None and find_relation(connection, self._schema, self._staging_index) is None:
            statement = self._index.statement(self._schema, self._staging, self._staging_index, self._extension)
            build(connection, self._session.another, self._index, statement)
        connection.execute(sql.SQL("ANALYZE {}").format(self._name(self._staging)), [])

    def count(self) -> int:
        """See `Target.count`."""
        return self._count(self._session.open(), self._staging)

    def read(self, ids: Sequence[str]) -> dict[str, NDArray[np.float32]]:
        """See `Target.read`."""
        statement = sql.SQL("SELECT id, {}::real[] FROM {} WHERE id = ANY(%s)")
        rows = self._session.open().execute(
            statement.format(identifier(VECTOR_COLUMN), self._name(self._staging)), [list(ids)], binary=True
        )
        return {name: np.array(numbers, np.float32) for name, numbers in rows}

    def switch(self) -> None:
        """See `Target.switch`."""
        connection, server = self._session.open(), self._session.server
        with connection.transaction():
            connection.execute("SET LOCAL synchronous_commit = on")
            connection.execute("SET LOCAL lock_timeout = '10s'")
            old = find_relation(connection, self._schema, self._table)
            if find_relation(connection, self._schema, self._staging) is None and self._is_ours(old):
                return  # committed, but the answer was lost
            if old is not None:
                check_relation(connection, server, old, self._plan, self._shown)
                switch.copy_grants(connection, old.oid, self._name(self._staging))
                connection.execute(sql.SQL("DROP TABLE {}").format(self._name(self._table)), [])
            switch.rename(connection, self._schema, self._staging, self._table)
            connection.execute(sql.SQL("DROP TABLE {}").format(self._name(self._batches)), [])

    def discard(self) -> None:
        """See `Target.discard`."""
        connection = self._session.open()
        with connection.transaction():
            self._drop_staging(connection)

    def close(self) -> None:
        """See `Target.close`."""
        self._session.close()

    def is_transient(self, error: Exception) -> bool:
        """See `Target.is_transient`."""
        return errors.is_transient(error)

    def explain(self, error: Exception) -> LiftedError | None:
        """See `Target.explain`."""
        return errors.explain(error, self._settings)

    @property
    def _staging(self) -> str:
        return derived(self._table, "__lifted_staging")

    @property
    def _batches(self) -> str:
        return derived(self._table, "__lifted_batches")

    @property
    def _staging_index(self) -> str:
        return derived(self._staging, f"_{VECTOR_COLUMN}_idx")

    @property
    def _shown(self) -> str:
        return f"{self._schema}.{self._table}"

    def _name(self, table: str) -> sql.Identifier:
        return identifier(self._schema, table)

    def _column_types(self) -> dict[str, ColumnType]:
        if self._plan.dim > MOST_DIM:
            raise ConfigError(
                f"pgvector holds at most {MOST_DIM:,} dimensions, and the embeddings have {self._plan.dim:,}."
            )
        for name in self._plan.schema.names:
            check_name(name, "column")
        return {field.name: column_type(field.name, field.type) for field in self._plan.schema}

    def _vector_type(self) -> str:
        return f"{TYPES[self._plan.dtype]}({self._plan.dim})"

    def _table_bytes(self) -> int:
        """Estimate the size of the table and of the index on ``id``."""
        vector = number_bytes(self._plan.dtype) * self._plan.dim
        return int(self._plan.rows * (self._plan.row_bytes + vector + ROW_OVERHEAD) * 1.1)

    def _is_ours(self, relation: Any) -> bool:
        return relation is not None and relation.stamp == Stamp.of(self._plan)

    def _action(self, connection: psycopg.Connection[Any], *, create_extension: bool) -> str:
        """Say what happens to the table. Raises `LiftedError` if it may not be replaced."""
        old = find_relation(connection, self._schema, self._table)
        extension = "create the extension vector; " if create_extension else ""
        if old is None:
            return f"{extension}create {self._shown}"
        if self._complete(connection):
            return f"nothing: {self._shown} already holds these embeddings"
        check_relation(connection, self._session.server, old, self._plan, self._shown)
        return f"{extension}replace {self._shown} with about {old.rows:,} rows"

    def _complete(self, connection: psycopg.Connection[Any]) -> bool:
        old = find_relation(connection, self._schema, self._table)
        return self._is_ours(old) and self._count(connection, self._table) == self._plan.rows

    def _count(self, connection: psycopg.Connection[Any], table: str) -> int:
        row = connection.execute(sql.SQL("SELECT count(*) FROM {}").format(self._name(table)), []).fetchone()
        return int(row[0]) if row else 0

    def _create_staging(self, connection: psycopg.Connection[Any]) -> None:
        self._drop_staging(connection)
        columns = [
            sql.SQL("{} {}{}").format(identifier(name), sql.SQL(kind.sql), sql.SQL(" NOT NULL" if name == "id" else ""))
            for name, kind in self._types.items()
        ]
        vector = sql.SQL("{} {}({}) NOT NULL").format(
            identifier(VECTOR_COLUMN), identifier(self._extension, TYPES[self._plan.dtype]), sql.Literal(self._plan.dim)
        )
        statement = sql.SQL("CREATE TABLE {} ({})")
        connection.execute(statement.format(self._name(self._staging), sql.SQL(", ").join([*columns, vector])), [])
        if 4 + number_bytes(self._plan.dtype) * self._plan.dim <= MOST_INLINE_BYTES:
            plain = sql.SQL("ALTER TABLE {} ALTER COLUMN {} SET STORAGE PLAIN")
            connection.execute(plain.format(self._name(self._staging), identifier(VECTOR_COLUMN)), [])
        connection.execute(sql.SQL("CREATE TABLE {} (number bigint PRIMARY KEY)").format(self._name(self._batches)), [])
        self._stamp(connection, self._staging)
        self._stamp(connection, self._batches)

    def _drop_staging(self, connection: psycopg.Connection[Any]) -> None:
        tables = sql.SQL(", ").join([self._name(self._staging), self._name(self._batches)])
        connection.execute(sql.SQL("DROP TABLE IF EXISTS {}").format(tables), [])

    def _stamp(self, connection: psycopg.Connection[Any], table: str) -> None:
        """Store what the table is loaded from. The server takes no parameters in COMMENT, so the client quotes it."""
        statement = sql.SQL("COMMENT ON TABLE {} IS %s").format(self._name(table))
        ClientCursor(connection).execute(statement, [Stamp.of(self._plan).to_json()])
