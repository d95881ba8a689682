"""Steps of the transaction that gives the staging table the name that readers use."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from psycopg import sql

from serve_cli.retrieval.load.target import VECTOR_COLUMN
from serve_cli.retrieval.load.targets.postgres.catalog import find_relation
from serve_cli.retrieval.load.targets.postgres.names import derived, identifier

if TYPE_CHECKING:
    import psycopg

PRIVILEGES = frozenset({"SELECT", "INSERT", "UPDATE", "DELETE", "TRUNCATE", "REFERENCES", "TRIGGER", "MAINTAIN"})


def copy_grants(connection: psycopg.Connection[Any], old: int, table: sql.Identifier) -> None:
    """Grant the rights on the table with the object id ``old`` on ``table`` too."""
    rows = connection.execute(
        "SELECT privilege_type, is_grantable, CASE grantee WHEN 0 THEN NULL ELSE pg_get_userbyid(grantee)::text END "
        "FROM pg_class, aclexplode(relacl) WHERE oid = %s AND grantee <> relowner",
        [old],
    ).fetchall()
    for privilege, grantable, role in rows:
        if privilege in PRIVILEGES:
            statement = sql.SQL("GRANT {} ON {} TO {}{}").format(
                sql.SQL(privilege),
                table,
                sql.SQL("PUBLIC") if role is None else identifier(role),
                sql.SQL(" WITH GRANT OPTION" if grantable else ""),
            )
            connection.execute(statement, [])


def rename(connection: psycopg.Connection[Any], schema: str, staging: str, table: str) -> None:
    """Rename the staging table, and its indexes where the names are free."""
    statement = sql.SQL("ALTER TABLE {} RENAME TO {}")
    connection.execute(statement.format(identifier(schema, staging), identifier(table)), [])
    for suffix in ("_pkey", f"_{VECTOR_COLUMN}_idx"):
        old, new = derived(staging, suffix), derived(table, suffix)
        if find_relation(connection, schema, old) and not find_relation(connection, schema, new):
            statement = sql.SQL("ALTER INDEX {} RENAME TO {}")
            connection.execute(statement.format(identifier(schema, old), identifier(new)), [])
