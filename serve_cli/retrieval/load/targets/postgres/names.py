"""Names in statements: quoted, and no longer than PostgreSQL keeps."""

from __future__ import annotations

import hashlib

from psycopg import sql

from gluon_lifted.errors import ConfigError

MOST_NAME_BYTES = 63  # NAMEDATALEN - 1; the server cuts longer names off
SYSTEM_COLUMNS = frozenset({"tableoid", "xmin", "cmin", "xmax", "cmax", "ctid"})


def identifier(*names: str) -> sql.Identifier:
    """Quote a name, qualified or not, for a statement that is executed with parameters, even if it has none.

    psycopg looks for placeholders such as ``%s`` in such statements, in quoted names too.
    """
    return sql.Identifier(*(name.replace("%", "%%") for name in names))


def derived(name: str, suffix: str) -> str:
    """Append a suffix to a table's name. A long name is shortened, with a hash to keep it unique."""
    if len((name + suffix).encode()) <= MOST_NAME_BYTES:
        return name + suffix
    digest = hashlib.sha256(name.encode()).hexdigest()[:8]
    kept = name.encode()[: MOST_NAME_BYTES - len(suffix) - len(digest) - 1].decode(errors="ignore")
    return f"{kept}_{digest}{suffix}"


def check_name(name: str, what: str) -> None:
    """Raise `ConfigError` unless PostgreSQL can hold a name unchanged. ``what`` is ``"table"`` or ``"column"``."""
    if not name or "\0" in name or len(name.encode()) > MOST_NAME_BYTES:
        raise ConfigError(
            f"PostgreSQL cannot name a {what} {name!r:.200}; expected 1 to {MOST_NAME_BYTES} bytes without NUL: "
            + ("choose another --table." if what == "table" else "leave it out with --columns.")
        )
    if what == "column" and name in SYSTEM_COLUMNS:
        raise ConfigError(f"PostgreSQL has a system column {name!r} in every table; leave it out with --columns.")
