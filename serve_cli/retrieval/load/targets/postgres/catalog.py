"""Look at a database before anything is written: pgvector, rights, and the existing table."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from gluon_lifted.errors import RunError
from serve_cli.retrieval.load.targets.stamp import Stamp, check_replaceable

if TYPE_CHECKING:
    import psycopg

    from serve_cli.retrieval.load.target import LoadPlan

OLDEST_PGVECTOR = (0, 7)  # has halfvec, and casts to real[]
ORDINARY_TABLE = "r"
KINDS = {"v": "view", "m": "materialized view", "f": "foreign table", "p": "partitioned table", "S": "sequence"}


@dataclass(frozen=True)
class Relation:
    """A table or something else that has a name in a schema."""

    oid: int
    kind: str
    rows: int
    owned: bool
    stamp: Stamp | None


def check_server(connection: psycopg.Connection[Any], server: str) -> None:
    """Raise `RunError` if the server or the session is read-only."""
    row = connection.execute("SELECT pg_is_in_recovery(), current_setting('transaction_read_only')").fetchone()
    standby, read_only = row or (False, "off")
    if standby:
        raise RunError(f"{server}: is a read-only standby; connect to the primary server.")
    if read_only == "on":
        raise RunError(f"{server}: the session is read-only; set default_transaction_read_only to off for this role.")


def vector_schema(connection: psycopg.Connection[Any], server: str) -> str | None:
    """Return the schema that holds pgvector's types, or None if the extension can still be created.

    Raises
    ------
    RunError
        If pgvector is not installed on the server, or too old.
    """
    row = connection.execute(
        "SELECT extversion, nspname FROM pg_extension JOIN pg_namespace n ON n.oid = extnamespace "
        "WHERE extname = 'vector'"
    ).fetchone()
    available = connection.execute(
        "SELECT default_version FROM pg_available_extensions WHERE name = 'vector'"
    ).fetchone()
    if row is None and available is None:
        raise RunError(f"{server}: the extension pgvector is not installed on this server; install it there first.")
    version = str((row or available or ("0",))[0])
    if tuple(int(number) for number in re.findall(r"\d+", version)[:2]) < OLDEST_PGVECTOR:
        cure = "run ALTER EXTENSION vector UPDATE" if row else "install a newer one on the server"
        raise RunError(f"{server}: has pgvector {version}, expected 0.7 or newer; {cure}.")
    return None if row is None else str(row[1])


def schema_and_table(connection: psycopg.Connection[Any], server: str, table: str) -> tuple[str, str]:
    """Split ``schema.table`` where that schema exists. Any other name is a table in the session's current schema.

    Raises
    ------
    RunError
        If there is no such schema, or the role may not create tables in it.
    """
    schema, mark, name = table.partition(".")
    known = mark and connection.execute("SELECT 1 FROM pg_namespace WHERE nspname = %s", [schema]).fetchone()
    if not known:
        name = table
        row = connection.execute("SELECT current_schema()").fetchone()
        if row is None or row[0] is None:
            raise RunError(f"{server}: no schema of the search path exists; name one, such as --table public.{table}.")
        schema = str(row[0])
    row = connection.execute("SELECT has_schema_privilege(%s, 'CREATE'), current_user", [schema]).fetchone()
    if row is not None and not row[0]:
        raise RunError(
            f"{server}: the role {row[1]!r} may not create tables in the schema {schema!r}; ask for "
            "GRANT CREATE ON SCHEMA, or name another schema, as in --table schema.table."
        )
    return schema, name


def find_relation(connection: psycopg.Connection[Any], schema: str, name: str) -> Relation | None:
    """Return what has a name in a schema, or None if the name is free."""
    row = connection.execute(
        "SELECT c.oid, c.relkind::text, greatest(c.reltuples, 0)::bigint, pg_has_role(c.relowner, 'USAGE'), "
        "obj_description(c.oid, 'pg_class') FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace "
        "WHERE n.nspname = %s AND c.relname = %s",
        [schema, name],
    ).fetchone()
    return None if row is None else Relation(row[0], row[1], row[2], row[3], Stamp.from_json(row[4]))


def check_relation(
    connection: psycopg.Connection[Any], server: str, relation: Relation, plan: LoadPlan, shown: str
) -> None:
    """Raise `RunError` or `ConfigError` unless the load may replace what has the table's name."""
    if relation.kind != ORDINARY_TABLE:
        kind = KINDS.get(relation.kind, "no table")
        raise RunError(f"{server}: {shown} is a {kind}; choose another --table.")
    if not relation.owned:
        raise RunError(f"{server}: the table {shown} belongs to another role; connect as its owner.")
    check_replaceable(relation.stamp, plan, f"{server}: the table {shown}")
    _check_dependents(connection, server, relation, shown)


def _check_dependents(connection: psycopg.Connection[Any], server: str, relation: Relation, shown: str) -> None:
    """Raise `RunError` if views or foreign keys keep a table from being dropped."""
    rows = connection.execute(
        "SELECT DISTINCT pg_describe_object(d.classid, d.objid, d.objsubid) FROM pg_depend d "
        "WHERE d.refclassid = 'pg_class'::regclass AND d.refobjid = %s AND d.deptype = 'n' AND ("
        "d.classid = 'pg_rewrite'::regclass OR d.classid = 'pg_constraint'::regclass AND EXISTS ("
        "SELECT FROM pg_constraint k WHERE k.oid = d.objid AND k.conrelid <> d.refobjid)) ORDER BY 1",
        [relation.oid],
    ).fetchall()
    if rows:
        raise RunError(
            f"{server}: the table {shown} cannot be replaced, since {len(rows)} objects depend on it ({rows[0][0]}); "
            "drop them first, or choose another --table."
        )
