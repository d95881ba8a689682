"""Describe the errors of psycopg and the server in sentences without credentials."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import psycopg
from psycopg import errors
from psycopg.conninfo import conninfo_to_dict

from gluon_lifted.errors import ConfigError, LiftedError, RunError
from gluon_lifted.redaction import without_credentials

if TYPE_CHECKING:
    from collections.abc import Mapping

SECRET_SETTINGS = ("password", "sslpassword", "oauth_client_secret")
# Classes and codes of SQLSTATE after which the same call may succeed: connection lost, serialization failure, deadlock,
# too many connections, shut down or starting, lock not available.
TRANSIENT_CLASSES = ("08",)
TRANSIENT_CODES = frozenset({"40001", "40P01", "53300", "57P01", "57P02", "57P03", "55P03"})
HINTS: dict[type[Exception], str] = {
    errors.InsufficientPrivilege: "ask the database's owner for that privilege, or connect as another role",
    errors.InvalidPassword: "check user and password; PGPASSWORD and ~/.pgpass are read too",
    errors.InvalidCatalogName: "check the database's name at the end of the URL",
    errors.DiskFull: "free some space on the server, then load again to resume",
    errors.ReadOnlySqlTransaction: "connect to the primary server",
    errors.DependentObjectsStillExist: "drop these objects first, or load into another --table",
    errors.LockNotAvailable: "end the queries that use the table, then load again to resume",
}


def connection_settings(url: str) -> dict[str, str]:
    """Parse a URL as libpq does. Raises `ConfigError`, which does not show the URL.

    libpq takes the start of a password with a slash for a port, and would show it in its error.
    """
    scheme, _, rest = url.partition("://")
    try:
        settings = {name: str(value) for name, value in conninfo_to_dict(f"{scheme.lower()}://{rest}").items()}
    except psycopg.ProgrammingError:
        settings = {"port": "unknown"}
    path = rest.partition("?")[0].partition("/")[2]
    if "@" in path or not all(port.isdecimal() for port in settings.get("port", "5432").split(",") if port):
        raise ConfigError(
            "--to is not a valid URL for PostgreSQL, such as postgresql://user@host:5432/database; write special "
            "characters of the password percent-encoded (@ as %40, / as %2F), or leave it out and set PGPASSWORD."
        )
    return settings


def server_name(settings: Mapping[str, str]) -> str:
    """Name the server and the database for a sentence, as far as they are known before connecting."""
    defaults = {"host": "PGHOST", "port": "PGPORT", "dbname": "PGDATABASE"}
    host, port, database = (settings.get(name) or os.environ.get(variable) for name, variable in defaults.items())
    where = f" at {host}{f':{port}' if port else ''}" if host else ""
    return f"PostgreSQL{where}{f', database {database}' if database else ''}"


def is_transient(error: Exception) -> bool:
    """Whether a repeated call may succeed."""
    if not isinstance(error, psycopg.Error):
        return False
    if error.sqlstate is None:  # from libpq, not from the server
        return isinstance(error, psycopg.OperationalError)
    return error.sqlstate[:2] in TRANSIENT_CLASSES or error.sqlstate in TRANSIENT_CODES


def explain(error: Exception, settings: Mapping[str, str]) -> LiftedError | None:
    """Describe an error of psycopg in a sentence, or return None for any other error."""
    if not isinstance(error, psycopg.Error):
        return None
    reason = _without_secrets(error.diag.message_primary or str(error), settings)
    detail = _without_secrets(error.diag.message_detail or "", settings)
    hint = next((text for kind, text in HINTS.items() if isinstance(error, kind)), _connection_hint(reason))
    sentences = [f"{server_name(settings)}: {_as_sentence(reason)}", _as_sentence(detail)]
    return RunError(" ".join(filter(None, [*sentences, _as_sentence(hint[:1].upper() + hint[1:])])))


def _connection_hint(reason: str) -> str:
    """Return what to do if no connection was made. Such errors have no code."""
    if "password" in reason or "authentication" in reason:
        return HINTS[errors.InvalidPassword]
    if 'database "' in reason and "does not exist" in reason:
        return HINTS[errors.InvalidCatalogName]
    if any(words in reason for words in ("refused", "timeout", "translate host name", "No such file", "resolve")):
        return "check host and port, and that the server runs and accepts connections from here"
    return ""


def _without_secrets(text: str, settings: Mapping[str, str]) -> str:
    secrets = [settings.get(name) for name in SECRET_SETTINGS] + [os.environ.get("PGPASSWORD")]
    for secret in sorted(filter(None, secrets), key=len, reverse=True):
        text = text.replace(secret, "***")
    return without_credentials(text)


def _as_sentence(text: str) -> str:
    joined = " ".join(text.split())
    return joined if not joined or joined.endswith((".", "!", "?")) else f"{joined}."
