"""A connection that is reopened after it was lost, and that one load at a time holds."""

from __future__ import annotations

import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import psycopg

from gluon_lifted.errors import RunError
from serve_cli.retrieval.load.targets.postgres.errors import server_name

if TYPE_CHECKING:
    from collections.abc import Mapping

CONNECT_TIMEOUT_S = 10
LOCK_WAIT_S = 15.0  # the server notices that a killed load is gone within CHECK_INTERVAL
CHECK_INTERVAL = "5s"
CHECKS_CONNECTIONS = 140_000  # first version of the server that can notice it during a statement


class Session:
    """A connection to the server.

    Parameters
    ----------
    settings : mapping of str to str
        Settings of libpq, which may include a password. Environment, service and password files add what is missing.
    """

    def __init__(self, settings: Mapping[str, str]) -> None:
        self._settings = dict(settings)
        self._settings.setdefault("connect_timeout", str(CONNECT_TIMEOUT_S))
        self._settings.setdefault("application_name", "lifted load")
        self._settings["client_encoding"] = "UTF8"
        self._connection: psycopg.Connection[Any] | None = None
        self._lock: str | None = None

    @property
    def server(self) -> str:
        """The server and the database, for sentences."""
        if self._connection is None:
            return server_name(self._settings)
        return server_name({**self._settings, "dbname": self._connection.info.dbname})

    def open(self) -> psycopg.Connection[Any]:
        """Return the connection, in autocommit mode. Connect if there is none or it was lost."""
        if self._connection is None or self._connection.closed or self._connection.broken:
            self._connection = self.another()
            self._configure(self._connection)
            if self._lock is not None:
                self._acquire(self._connection, self._lock)
        return self._connection

    def another(self) -> psycopg.Connection[Any]:
        """Open a further connection, which the caller closes."""
        settings: dict[str, Any] = self._settings
        return psycopg.connect(**settings, autocommit=True)

    def lock(self, table: str) -> None:
        """Keep other loads of a table away while this session lasts. Raise `RunError` if another one is running."""
        connection = self.open()
        if self._lock is None:
            self._acquire(connection, table)
            self._lock = table

    def close(self) -> None:
        """Disconnect."""
        if self._connection is not None:
            with suppress(psycopg.Error):
                self._connection.close()

    def _configure(self, connection: psycopg.Connection[Any]) -> None:
        # A crash of the server may lose the last batches with their numbers, never a batch alone: they are loaded
        # again. The switch waits for the disk, for all earlier transactions too.
        connection.execute("SET synchronous_commit = off")
        connection.execute("SET statement_timeout = 0")
        if connection.info.server_version >= CHECKS_CONNECTIONS:
            with suppress(psycopg.errors.InvalidParameterValue):  # not on every system
                connection.execute("SELECT set_config('client_connection_check_interval', %s, false)", [CHECK_INTERVAL])

    def _acquire(self, connection: psycopg.Connection[Any], table: str) -> None:
        ends = time.monotonic() + LOCK_WAIT_S
        while True:
            row = connection.execute("SELECT pg_try_advisory_lock(hashtextextended(%s, 0))", [table]).fetchone()
            if row is not None and row[0]:
                return
            if time.monotonic() > ends:
                raise RunError(f"{self.server}: another load of the table {table} is running; wait until it ends.")
            time.sleep(0.2)
