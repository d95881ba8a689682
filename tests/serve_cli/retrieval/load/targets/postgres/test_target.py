"""Loads into a real server."""

from __future__ import annotations

import logging
import threading
import time
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest

pytest.importorskip("psycopg", reason="loading into PostgreSQL needs psycopg")

import psycopg

from gluon_lifted.errors import ConfigError, LiftedError, RunError
from gluon_lifted.progress import progress_to
from serve_cli.retrieval.load.load import load_embeddings
from serve_cli.retrieval.load.load_options import LoadOptions
from serve_cli.retrieval.load.targets.postgres import catalog, session, target
from serve_cli.retrieval.load.targets.postgres.target import PostgresTarget
from serve_cli.sources.network.retry import RetryPolicy
from tests.serve_cli.retrieval.index.catalogs import plain_nearest, write_embeddings
from tests.serve_cli.retrieval.load.catalogs import drawn, write_columns
from tests.serve_cli.retrieval.load.conftest import connect

AT_ONCE = RetryPolicy(seconds=1e9, attempts=3, sleep=lambda _: None)


def rows_of(sql, table='"emb"'):
    return sql.execute(f"SELECT id, embedding::real[] FROM {table} ORDER BY id", binary=True).fetchall()


def tables(sql):
    """All tables and indexes in the schema public."""
    names = "SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'i')"
    return sorted(row[0] for row in sql.execute(names))


@pytest.mark.parametrize("distance", ["euclidean", "cosine"])
@pytest.mark.parametrize("index", ["hnsw", "ivfflat", "none"])
@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_every_row_and_what_sql_finds(emb, database, sql, distance, index, dtype):
    vectors = drawn(200, 8)
    folder = write_embeddings(emb, vectors, distance=distance, failed=(7,))
    report = load_embeddings(LoadOptions(folder, database, index=index, dtype=dtype))
    assert (report.rows, report.failed, report.compared) == (199, 1, 199)
    kind = "vector" if dtype == "float32" else "halfvec"
    assert report.columns == {
        "id": "text",
        "path": "text",
        "label": "text",
        "price": "bigint",
        "embedding": f"{kind}(8)",
    }
    assert tables(sql) == sorted(["emb", "emb_pkey", *([] if index == "none" else ["emb_embedding_idx"])])
    found = sql.execute("SELECT id, path, label, price, embedding::real[] FROM emb ORDER BY price").fetchall()
    kept = [row for row in range(200) if row != 7]
    assert [row[:4] for row in found] == [(f"{i}.jpg", f"/photos/{i}.jpg", f"class {i % 3}", i) for i in kept]
    stored = vectors.astype(dtype).astype(np.float32)
    assert np.array_equal(np.array([row[4] for row in found], np.float32), stored[kept])
    operator = "<->" if distance == "euclidean" else "<=>"
    sql.execute("SET hnsw.ef_search = 200")
    sql.execute("SET enable_seqscan = off")
    query = f"SELECT price FROM emb ORDER BY embedding {operator} %s::{kind} LIMIT 5"
    nearest = [row[0] for row in sql.execute(query, [str(vectors[3].tolist())])]
    assert nearest == [row for _, row in plain_nearest(stored, vectors[3:4], 5, distance, set(kept))[0]]
    plan = str(sql.execute(f"EXPLAIN {query}", [str(vectors[3].tolist())]).fetchall())
    assert ("emb_embedding_idx" in plan) == (index != "none")


@pytest.mark.slow
def test_ten_thousand_rows_are_searched_as_exactly_as_the_index_can(emb, database, sql):
    rng = np.random.default_rng(0)
    centers = rng.normal(size=(100, 32))
    vectors = (centers[rng.integers(100, size=10_000)] + 0.5 * rng.normal(size=(10_000, 32))).astype(np.float32)
    queries = vectors[:50] + np.float32(0.01)
    exact = [set(np.argsort(((vectors - query).astype(float) ** 2).sum(axis=1))[:10].tolist()) for query in queries]
    folder = write_embeddings(emb, vectors)
    for index, least in (("none", 1.0), ("hnsw", 0.95), ("ivfflat", 0.95)):
        load_embeddings(LoadOptions(folder, database, index=index))
        sql.execute("SET hnsw.ef_search = 100")
        sql.execute("SET ivfflat.probes = 5")
        nearest = "SELECT price FROM emb ORDER BY embedding <-> %s::vector LIMIT 10"
        found = [{row[0] for row in sql.execute(nearest, [str(query.tolist())])} for query in queries]
        assert sum(len(a & b) for a, b in zip(found, exact, strict=True)) / 500 >= least


def test_the_same_again_new_ones_and_others(emb, tmp_path, database, sql, monkeypatch):
    options = LoadOptions(write_embeddings(emb, drawn(20)), database)
    assert load_embeddings(options).action == "create public.emb"
    sql.execute("GRANT SELECT ON emb TO reader")
    sql.execute("GRANT SELECT ON emb TO PUBLIC")
    again = load_embeddings(options)
    assert again.complete
    assert again.action == "nothing: public.emb already holds these embeddings"
    vectors = drawn(30, seed=1)
    renewed = write_embeddings(tmp_path / "new" / "emb", vectors)
    assert load_embeddings(replace(options, source=renewed)).action == "replace public.emb with about 20 rows"
    assert {row[0]: row[1] for row in rows_of(sql)} == {f"{i}.jpg": vectors[i].tolist() for i in range(30)}
    granted = (
        "SELECT grantee FROM information_schema.role_table_grants WHERE table_name = 'emb' AND grantee <> 'postgres'"
    )
    assert {row[0] for row in sql.execute(granted)} == {"reader", "PUBLIC"}
    columns = pa.table({"n": pa.array(range(4))})
    for other, message in (
        (write_columns(tmp_path / "a", drawn(4), columns, sha256="cd" * 32), "embeddings of another model"),
        (write_columns(tmp_path / "b", drawn(4), columns, source="/other"), r"embeddings of other images \(/photos\)"),
    ):
        wrong = LoadOptions(other, database, table="emb")
        before = tables(sql)
        with monkeypatch.context() as patch:
            patch.setattr(PostgresTarget, "prepare", None)  # it is said before anything is written
            with pytest.raises(ConfigError, match=message):
                load_embeddings(wrong)
        assert tables(sql) == before
        assert len(rows_of(sql)) == 30
        assert load_embeddings(replace(wrong, overwrite=True)).rows == 4
        assert load_embeddings(replace(options, source=renewed, overwrite=True)).rows == 30


def test_rows_that_were_deleted_come_back(emb, database, sql):
    options = LoadOptions(write_embeddings(emb, drawn(20)), database)
    load_embeddings(options)
    sql.execute("DELETE FROM emb WHERE price < 5")
    assert not load_embeddings(options).complete
    assert len(rows_of(sql)) == 20


def test_a_table_of_someone_else(emb, database, sql):
    sql.execute("CREATE TABLE emb (id int)")
    options = LoadOptions(write_embeddings(emb, drawn(5)), database)
    with pytest.raises(ConfigError, match=r"table public.emb exists and was not written by `lifted load`.*--overwrite"):
        load_embeddings(options)
    load_embeddings(replace(options, overwrite=True))
    assert len(rows_of(sql)) == 5
    sql.execute("CREATE VIEW cheap AS SELECT id FROM emb WHERE price < 3")
    with pytest.raises(RunError, match=r"1 objects depend on it \(.*view cheap"):
        load_embeddings(replace(options, index="none"))
    with pytest.raises(RunError, match=r"public.cheap is a view"):
        load_embeddings(replace(options, table="cheap", overwrite=True))
    assert len(rows_of(sql)) == 5


@pytest.mark.parametrize("name", ['Ta"ble; DROP TABLE x', "100 %s %% off", "ünïcode ☃", "a" * 63, "select", "a.b.c"])
def test_names_that_need_quotes(tmp_path, database, sql, name):
    columns = pa.table({'we"ird %s': pa.array([1, 2, 3]), "Order": pa.array(["a", "b", None])})
    folder = write_columns(tmp_path / "e", drawn(3), columns)
    for index in ("hnsw", "none"):  # the second replaces the first
        load_embeddings(LoadOptions(folder, database, table=name, index=index))
        quoted = psycopg.sql.Identifier(name).as_string()
        query = psycopg.sql.SQL('SELECT "we""ird %s", "Order" FROM {} ORDER BY 1').format(psycopg.sql.SQL(quoted))
        assert sql.execute(query).fetchall() == [(1, "a"), (2, "b"), (3, None)]
    assert sum("lifted" in table for table in tables(sql)) == 0


def test_a_table_in_another_schema(emb, database, sql):
    sql.execute('CREATE SCHEMA "My Shop"')
    options = LoadOptions(write_embeddings(emb, drawn(3)), database, table="My Shop.photos")
    load_embeddings(options)
    assert len(rows_of(sql, '"My Shop".photos')) == 3
    assert load_embeddings(options).complete
    assert tables(sql) == []


def test_an_extension_in_another_schema_or_not_there_yet(emb, database, sql):
    sql.execute("DROP EXTENSION vector")
    options = LoadOptions(write_embeddings(emb, drawn(50)), database)
    assert load_embeddings(options, dry_run=True).action == "create the extension vector; create public.emb"
    assert tables(sql) == []
    sql.execute("CREATE SCHEMA ext")
    sql.execute("CREATE EXTENSION vector SCHEMA ext")
    load_embeddings(options)
    assert len(rows_of(sql)) == 50
    sql.execute("DROP EXTENSION vector CASCADE")
    load_embeddings(replace(options, table="second"))
    assert len(rows_of(sql, "second")) == 50


def test_dry_run_writes_nothing(emb, database, sql):
    options = LoadOptions(write_embeddings(emb, drawn(50)), database, dtype="float16")
    report = load_embeddings(options, dry_run=True)
    assert (report.action, report.index) == ("create public.emb", "hnsw halfvec_l2_ops (m = 16, ef_construction = 64)")
    assert report.bytes > 50 * 8
    assert tables(sql) == []


def interrupted(monkeypatch, after):
    """Let the client fail after some batches."""
    write, count = PostgresTarget.write, iter(range(after))

    def failing(self, batch, number):
        if next(count, None) is None:
            raise KeyboardInterrupt
        write(self, batch, number)

    monkeypatch.setattr(PostgresTarget, "write", failing)


def test_an_interrupted_load_leaves_the_table_and_is_resumed(emb, tmp_path, database, sql, monkeypatch):
    monkeypatch.setattr(PostgresTarget, "batch_rows", 7)
    options = LoadOptions(write_embeddings(emb, drawn(20)), database)
    load_embeddings(options)
    before = rows_of(sql)
    vectors = drawn(40, seed=2)
    renewed = replace(options, source=write_embeddings(tmp_path / "new" / "emb", vectors))
    with monkeypatch.context() as patch:
        interrupted(patch, 3)
        with pytest.raises(KeyboardInterrupt):
            load_embeddings(renewed)
    assert rows_of(sql) == before
    assert load_embeddings(renewed, dry_run=True).action == "replace public.emb with about 20 rows"
    report = load_embeddings(replace(renewed, index="ivfflat"))
    assert report.resumed == 21
    assert {row[0]: row[1] for row in rows_of(sql)} == {f"{i}.jpg": vectors[i].tolist() for i in range(40)}
    assert tables(sql) == ["emb", "emb_embedding_idx", "emb_pkey"]


def test_another_index_for_what_an_interrupted_load_has_indexed(emb, database, sql, monkeypatch):
    options = LoadOptions(write_embeddings(emb, drawn(20)), database)
    with monkeypatch.context() as patch:
        patch.setattr(PostgresTarget, "switch", lambda self: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            load_embeddings(options)
    assert load_embeddings(replace(options, index="ivfflat")).resumed == 20
    assert (
        "ivfflat" in sql.execute("SELECT indexdef FROM pg_indexes WHERE indexname = 'emb_embedding_idx'").fetchone()[0]
    )


def test_another_staging_is_discarded(emb, tmp_path, database, sql, monkeypatch):
    monkeypatch.setattr(PostgresTarget, "batch_rows", 7)
    options = LoadOptions(write_embeddings(emb, drawn(20)), database)
    with monkeypatch.context() as patch:
        interrupted(patch, 2)
        with pytest.raises(KeyboardInterrupt):
            load_embeddings(options)
    report = load_embeddings(replace(options, dtype="float16"))
    assert (report.resumed, len(rows_of(sql))) == (0, 20)
    sql.execute('CREATE TABLE "other__lifted_staging" (id int)')
    with pytest.raises(RunError, match=r"'other__lifted_staging' or .* is not a staging table of `lifted load`"):
        load_embeddings(replace(options, table="other"))


def test_a_lost_connection_is_opened_again(emb, database, sql, monkeypatch, caplog):
    monkeypatch.setattr(PostgresTarget, "batch_rows", 5)
    stream, batches = target.copy_stream, []

    def losing(*arguments):
        for number, chunk in enumerate(stream(*arguments)):
            if number == 1 and len(batches) < 2:
                batches.append(1)
                others = "pid <> pg_backend_pid() AND application_name = 'lifted load'"
                sql.execute(f"SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE {others}")
            yield chunk

    switch, locks = PostgresTarget.switch, []

    def locked(self):
        locks.extend(sql.execute("SELECT granted FROM pg_locks WHERE locktype = 'advisory'").fetchall())
        switch(self)

    monkeypatch.setattr(target, "copy_stream", losing)
    monkeypatch.setattr(PostgresTarget, "switch", locked)
    report = load_embeddings(LoadOptions(write_embeddings(emb, drawn(20)), database), retries=AT_ONCE)
    assert (report.rows, len(batches), len(rows_of(sql))) == (20, 2, 20)
    assert sum("Trying again" in record.message for record in caplog.records) == 2
    assert locks == [(True,)]


def test_answers_that_were_lost(emb, database, sql, monkeypatch):
    """The server has committed, and the client does not know."""
    for name in ("prepare", "write", "build_index", "switch"):
        method, lost = getattr(PostgresTarget, name), iter([1])

        def twice(self, *arguments, method=method, lost=lost):
            method(self, *arguments)
            if next(lost, None):
                raise psycopg.OperationalError("the connection is lost")

        monkeypatch.setattr(PostgresTarget, name, twice)
    assert load_embeddings(LoadOptions(write_embeddings(emb, drawn(20)), database), retries=AT_ONCE).rows == 20
    assert len(rows_of(sql)) == 20
    assert tables(sql) == ["emb", "emb_embedding_idx", "emb_pkey"]


def test_two_loads_of_a_table_at_once(emb, database, sql, monkeypatch):
    monkeypatch.setattr(session, "LOCK_WAIT_S", 0.3)
    sql.execute("SELECT pg_advisory_lock(hashtextextended('public.emb', 0))")
    options = LoadOptions(write_embeddings(emb, drawn(20)), database)
    with pytest.raises(RunError, match=r"another load of the table public.emb is running"):
        load_embeddings(options)
    monkeypatch.setattr(session, "LOCK_WAIT_S", 10.0)
    threading.Timer(0.3, lambda: sql.execute("SELECT pg_advisory_unlock_all()")).start()
    assert load_embeddings(options).rows == 20


def test_a_reader_delays_the_switch(emb, database, sql, server):
    options = LoadOptions(write_embeddings(emb, drawn(20)), database)
    load_embeddings(options)
    with psycopg.connect(database) as reader:
        assert reader.execute("SELECT count(*) FROM emb").fetchone() == (20,)
        threading.Timer(0.5, reader.rollback).start()
        began = time.monotonic()
        load_embeddings(replace(options, index="none"))
        assert time.monotonic() - began > 0.3
        assert reader.execute("SELECT count(*) FROM emb").fetchone() == (20,)


def test_rows_that_come_back_differently(emb, database, sql, monkeypatch):
    read = PostgresTarget.read
    monkeypatch.setattr(PostgresTarget, "read", lambda self, ids: {k: v + 1 for k, v in read(self, ids).items()})
    with pytest.raises(RunError, match="another embedding"):
        load_embeddings(LoadOptions(write_embeddings(emb, drawn(20)), database))
    assert tables(sql) == []


@pytest.mark.parametrize(
    ("dim", "dtype", "storage"), [(900, "float32", "p"), (1000, "float32", "e"), (1000, "float16", "p")]
)
def test_vectors_stay_in_the_row_where_two_fit_a_page(emb, database, sql, dim, dtype, storage):
    load_embeddings(LoadOptions(write_embeddings(emb, drawn(2, dim)), database, dtype=dtype))
    kind = sql.execute(
        "SELECT attstorage::text FROM pg_attribute WHERE attrelid = 'emb'::regclass AND attname = 'embedding'"
    )
    assert kind.fetchone() == (storage,)


def test_wide_vectors(tmp_path, database, sql):
    folder = write_embeddings(tmp_path / "e", drawn(3, 2001))
    report = load_embeddings(LoadOptions(folder, database))
    assert report.index.startswith("hnsw on embedding::halfvec(2001) halfvec_l2_ops")
    assert "halfvec(2001)" in sql.execute("SELECT indexdef FROM pg_indexes WHERE indexname ~ '_idx'").fetchone()[0]
    wide = write_embeddings(tmp_path / "wide", drawn(2, 4001))
    with pytest.raises(ConfigError, match=r"indexes at most 4,000 dimensions, and the embeddings have 4,001.*none"):
        load_embeddings(LoadOptions(wide, database))
    assert load_embeddings(LoadOptions(wide, database, index="none")).rows == 2
    with pytest.raises(ConfigError, match="holds at most 16,000 dimensions"):
        load_embeddings(LoadOptions(write_embeddings(tmp_path / "most", drawn(1, 16_001)), database, index="none"))


def as_user(database, user, password=""):
    return database.replace("//postgres@", f"//{user}{':' * bool(password)}{password}@")


def test_rights(emb, database, sql, monkeypatch):
    folder = write_embeddings(emb, drawn(5))
    with pytest.raises(RunError, match=r"the role 'reader' may not create tables in the schema 'public'.*GRANT CREATE"):
        load_embeddings(LoadOptions(folder, as_user(database, "reader")))
    load_embeddings(LoadOptions(folder, database))
    sql.execute("GRANT CREATE ON SCHEMA public TO reader")
    with pytest.raises(RunError, match=r"the table public.emb belongs to another role"):
        load_embeddings(LoadOptions(folder, as_user(database, "reader"), index="none"))
    assert load_embeddings(LoadOptions(folder, as_user(database, "reader"), table="mine")).rows == 5
    sql.execute("DROP EXTENSION vector CASCADE")
    monkeypatch.setattr(catalog, "OLDEST_PGVECTOR", (0, 7))
    sql.execute("REVOKE CREATE ON DATABASE " + sql.info.dbname + " FROM PUBLIC")
    with pytest.raises(RunError, match=r"permission denied to create extension \"vector\".*Ask the database's owner"):
        load_embeddings(LoadOptions(folder, as_user(database, "reader"), table="more"))


def test_passwords(emb, database, monkeypatch, caplog, sql):
    folder = write_embeddings(emb, drawn(5))
    sql.execute("GRANT CREATE ON SCHEMA public TO sealed")
    for wrong in (as_user(database, "sealed"), as_user(database, "sealed", "wr0ngpw")):
        with pytest.raises(RunError, match=r"PostgreSQL at .*password.* Check user and password; PGPASSWORD") as error:
            load_embeddings(LoadOptions(folder, wrong))
        assert "wr0ngpw" not in str(error.value)
    for password in ("s3cret/pw", "5432/s3cret", "s3cret?x", "1?s3cret", "s3cret#", "s3cret%zz", "[s3cret"):
        with pytest.raises(LiftedError) as error:
            load_embeddings(LoadOptions(folder, as_user(database, "sealed", password)))
        assert "s3cret" not in str(error.value), password
    with pytest.raises(ConfigError, match="not a valid URL") as error:
        load_embeddings(LoadOptions(folder, "postgresql://sealed:s3cret"))  # the host is missing
    assert "s3cret" not in str(error.value)
    assert load_embeddings(LoadOptions(folder, as_user(database, "sealed", "s3cret%2Fpw"))).rows == 5
    monkeypatch.setenv("PGPASSWORD", "s3cret/pw")
    assert load_embeddings(LoadOptions(folder, as_user(database, "sealed"))).complete
    assert "s3cret" not in caplog.text


def test_servers_that_cannot_be_used(emb, database, server, sql, monkeypatch):
    options = LoadOptions(write_embeddings(emb, drawn(5)), database)
    for url, message in (
        ("postgresql://u:pa55word@127.0.0.1:1/shop", r"at 127.0.0.1:1, database shop: .*refused.* Check host and port"),
        (f"postgresql://postgres@/absent?host={server}", r'database "absent" does not exist.* Check the database'),
        ("postgresql://h/db?nonsense=1", "not a valid URL"),
    ):
        with pytest.raises(LiftedError, match=message) as error:
            load_embeddings(replace(options, to=url))
        assert "pa55word" not in str(error.value)
    monkeypatch.setenv("PGOPTIONS", "-c default_transaction_read_only=on")
    with pytest.raises(RunError, match="the session is read-only"):
        load_embeddings(options)
    monkeypatch.delenv("PGOPTIONS")
    monkeypatch.setattr(catalog, "OLDEST_PGVECTOR", (9, 0))
    with pytest.raises(RunError, match=r"has pgvector 0.8.\d, expected"):
        load_embeddings(options)


def test_columns_that_cannot_be_stored(tmp_path, database, sql):
    for columns, message in (
        ({"ctid": pa.array([1])}, "system column 'ctid'"),
        ({"x" * 64: pa.array([1])}, "cannot name a column 'xxx"),
        ({"s": pa.array([{"a": 1}])}, "cannot hold the column 's'"),
        ({"t": pa.array(["a\0b"])}, "column 't' cannot be stored as text: a text has a NUL"),
    ):
        folder = write_columns(tmp_path / f"e{len(message)}", drawn(1), pa.table(columns))
        options = LoadOptions(folder, database)
        with pytest.raises(LiftedError, match=message):
            load_embeddings(options)
        assert load_embeddings(replace(options, columns=("label",))).rows == 1
    with pytest.raises(ConfigError, match="cannot name a table"):
        load_embeddings(replace(options, table="t" * 64))


def test_progress_and_memory(emb, database, sql, caplog, monkeypatch):
    from contextlib import contextmanager

    from serve_cli.retrieval.load.targets.postgres import index

    shown = []

    class Shown:
        def __init__(self, label):
            self.label = label

        def update(self, done, text=""):
            shown.append((self.label, done, text))

    @contextmanager
    def show(label, total, unit="images", start=0):
        yield Shown(label)

    monkeypatch.setattr(index, "POLL_S", 0.02)
    monkeypatch.setattr(PostgresTarget, "batch_rows", 750)
    monkeypatch.setenv("PGOPTIONS", "-c maintenance_work_mem=1MB -c max_parallel_maintenance_workers=0")
    monkeypatch.setattr(index.VectorIndex, "memory", 1 << 40)
    with progress_to(show), caplog.at_level(logging.WARNING):
        load_embeddings(LoadOptions(write_embeddings(emb, drawn(1500, 16)), database))
    assert [entry[:2] for entry in shown if entry[0] == "load"] == [("load", 750), ("load", 1500)]
    indexed = [entry for entry in shown if entry[0] == "index (hnsw)"]
    assert any("loading tuples" in text and done > 0 for _, done, text in indexed)
    assert "fastest with 1048576 MB of memory, and maintenance_work_mem is 128 MB" in caplog.text


def test_too_little_shared_memory(emb, database, sql, monkeypatch, caplog):
    execute, failed = psycopg.Connection.execute, []

    def full(self, query, *arguments, **named):
        if "CREATE INDEX" in str(query) and not failed:
            failed.append(1)
            raise psycopg.errors.DiskFull("could not resize shared memory segment")
        return execute(self, query, *arguments, **named)

    monkeypatch.setattr(psycopg.Connection, "execute", full)
    assert load_embeddings(LoadOptions(write_embeddings(emb, drawn(5)), database)).rows == 5
    assert "one process builds it" in caplog.text
    assert failed


def test_nothing_to_load(emb, database, sql):
    assert load_embeddings(LoadOptions(write_embeddings(emb, drawn(2), failed=(0, 1)), database)).rows == 0
    assert rows_of(sql) == []


def test_where_rights_are_missing_the_session_still_closes(emb, database, server):
    with pytest.raises(RunError):
        load_embeddings(LoadOptions(write_embeddings(emb, drawn(2)), as_user(database, "reader")))
    with connect(server, "postgres") as connection:
        open_ones = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'lifted load'"
        assert connection.execute(open_ones).fetchone() == (0,)
