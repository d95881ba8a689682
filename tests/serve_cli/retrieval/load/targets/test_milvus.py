"""A collection of Milvus Lite after a load, read with the client."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from gluon_lifted.errors import ConfigError, DataError, RunError
from serve_cli.embeddings.stream import EmbeddedBatch
from tests.serve_cli.retrieval.load.targets.loading import (
    InterruptedLoadError,
    batches,
    catalog,
    ids,
    load,
    nearest,
    plan_of,
)

pytest.importorskip("pymilvus", reason="loading into Milvus needs pymilvus", exc_type=ImportError)
pytest.importorskip("milvus_lite", reason="the tests' Milvus is milvus-lite", exc_type=ImportError)

from pymilvus import DataType
from pymilvus.exceptions import MilvusException

from serve_cli.retrieval.load.targets import milvus_connection
from serve_cli.retrieval.load.targets.milvus import MilvusTarget
from serve_cli.retrieval.load.targets.milvus_fields import collection_schema, rows_of

REPOSITORY = Path(__file__).parents[5]
FLAT = {"index": "flat"}


@pytest.fixture
def url(tmp_path):
    return f"milvus://{tmp_path / 'shop.db'}"


@contextmanager
def client(url):
    server = milvus_connection.parse_url(url)
    opened = milvus_connection.connect(server)
    yield opened
    milvus_connection.disconnect(server, opened)


def stored(opened, name="cars"):
    opened.load_collection(name)
    rows = opened.query(name, filter="stock >= 0", output_fields=["*"], limit=16_000)
    return sorted((dict(row) for row in rows), key=lambda row: row["stock"])


@pytest.mark.slow
@pytest.mark.parametrize("distance", ["euclidean", "cosine"])
def test_ten_thousand_rows_are_found_as_by_exact_search(url, distance):
    data = catalog(10_000)
    plan = plan_of(*data, distance=distance, batch_rows=4_000, **FLAT)
    assert load(MilvusTarget, url, plan, data) == [0, 1, 2]
    with client(url) as opened:
        opened.load_collection("cars")
        for query in data[1][:5] + 0.1:
            rows = opened.search("cars", data=[query], limit=10, output_fields=["id"])[0]
            assert [row["id"] for row in rows] == ids(data, nearest(data[1], query, distance))


def test_columns_become_fields_with_their_types(url):
    data = catalog(30)
    load(MilvusTarget, url, plan_of(*data, **FLAT), data)
    with client(url) as opened:
        for row, point in enumerate(stored(opened)):
            expected = data[0].slice(row, 1).to_pylist()[0]
            np.testing.assert_array_equal(np.array(point.pop("embedding"), np.float32), data[1][row])
            assert point == {**expected, "taken": "2024-02-29T12:30:00+00:00"}
        fields = {field["name"]: field["type"] for field in opened.describe_collection("cars")["fields"]}
    assert [fields[name] for name in ("id", "price", "stock", "sold")] == [
        DataType.VARCHAR,
        DataType.DOUBLE,
        DataType.INT16,
        DataType.BOOL,
    ]


@pytest.mark.parametrize("kind", ["hnsw", "ivf_flat"])
def test_an_index_is_built_before_the_switch(url, kind):
    data = catalog(200)
    load(MilvusTarget, url, plan_of(*data, index=kind), data)
    with client(url) as opened:
        assert opened.describe_index("cars", "embedding")["index_type"] == kind.upper()
        opened.load_collection("cars")
        rows = opened.search("cars", data=[data[1][7]], limit=1, output_fields=["id"])[0]
    assert [row["id"] for row in rows] == ids(data, [7])


def test_an_interrupted_load_resumes_and_shows_nothing_before(url):
    data = catalog(250)
    plan = plan_of(*data, **FLAT)
    with pytest.raises(InterruptedLoadError):
        load(MilvusTarget, url, plan, data, stop=1)
    with client(url) as opened:
        assert not opened.has_collection("cars")
    target = MilvusTarget(url, plan)  # and the next batch is written in part
    rows = rows_of(EmbeddedBatch(data[0].slice(100, 40), data[1][100:140]), "float32")
    target._client().insert(target._names.collection, rows)
    target.close()
    assert load(MilvusTarget, url, plan, data) == [1, 2]
    with client(url) as opened:
        assert [row["id"] for row in stored(opened)] == data[0]["id"].to_pylist()
    assert load(MilvusTarget, url, plan, data) == []


def test_only_a_batch_that_may_be_there_is_upserted(url, monkeypatch):
    data = catalog(250)
    plan = plan_of(*data, **FLAT)
    target = MilvusTarget(url, plan)
    target.prepare()
    calls = []
    for name in ("insert", "upsert"):
        real = getattr(target._client(), name)

        def send(*args, _real=real, _name=name, **options):
            calls.append(_name)
            return _real(*args, **options)

        monkeypatch.setattr(target._client(), name, send)
    first, second, third = batches(plan, *data)
    for number, batch in ((0, first), (1, second), (1, second), (2, third)):
        assert not target.loaded(batch, number)
        target.write(batch, number)
    assert calls == ["insert", "insert", "upsert", "insert"]
    target.build_index()
    assert target.count() == 250
    target.close()


def test_a_new_version_of_a_catalog_replaces_the_old_one(url):
    old, new = catalog(30), catalog(40, seed=1)
    load(MilvusTarget, url, plan_of(*old, **FLAT), old)
    with pytest.raises(InterruptedLoadError):  # a staging that is given up
        load(MilvusTarget, url, plan_of(*old, index="hnsw", batch_rows=20), old, stop=1)
    load(MilvusTarget, url, plan_of(*new, **FLAT), new)
    with client(url) as opened:
        assert len(opened.list_collections()) == 1
        np.testing.assert_array_equal([row["embedding"] for row in stored(opened)], new[1])


def test_vectors_are_read_back_and_missing_ids_left_out(url):
    data = catalog(30)
    target = MilvusTarget(url, plan_of(*data, **FLAT))
    target.prepare()
    target.write(batches(plan_of(*data), *data)[0], 0)
    target.build_index()
    read = target.read([*ids(data, [3, 4]), "missing"])
    assert set(read) == set(ids(data, [3, 4]))
    np.testing.assert_array_equal(read[ids(data, [4])[0]], data[1][4])
    target.discard()
    assert target._client().list_collections() == []
    target.close()


def test_a_collection_of_other_images_is_kept(url):
    data = catalog(20)
    load(MilvusTarget, url, plan_of(*data, **FLAT), data)
    other = plan_of(*data, source="/other", **FLAT)
    target = MilvusTarget(url, other)
    with pytest.raises(ConfigError, match="'cars' exists and holds embeddings of another model or of other images"):
        target.preview()
    target.close()
    load(MilvusTarget, url, replace(other, overwrite=True), data)
    with client(url) as opened:
        assert len(stored(opened)) == 20


def test_a_collection_that_is_no_alias_is_kept(url):
    data = catalog(20)
    with client(url) as opened:
        opened.create_collection("cars", schema=collection_schema(plan_of(*data)))
    target = MilvusTarget(url, plan_of(*data, **FLAT))
    with pytest.raises(ConfigError, match="was not made by `lifted load`"):
        target.preview()
    target.close()
    load(MilvusTarget, url, plan_of(*data, overwrite=True, **FLAT), data)
    with client(url) as opened:
        assert len(stored(opened)) == 20


@pytest.mark.parametrize("name", ["a b", "a-b", "1a", "", "ä", "x" * 201])
def test_a_name_that_cannot_be_used_is_refused(url, name):
    with pytest.raises(ConfigError, match="cannot have a collection named"):
        MilvusTarget(url, plan_of(*catalog(2), table=name)).preview()


@pytest.mark.parametrize(
    ("column", "kind"),
    [
        ("a b", pa.int64()),
        ("n", pa.binary()),
        ("n", pa.uint64()),
        ("n", pa.decimal128(5, 2)),
        ("n", pa.list_(pa.uint64())),
    ],
)
def test_a_column_that_cannot_be_held_is_named(url, column, kind):
    table = catalog(2)[0].append_column(column, pa.nulls(2, kind))
    with pytest.raises(ConfigError, match=f"{column}.*--columns"):
        MilvusTarget(url, plan_of(table, catalog(2)[1])).preview()


def test_lists_and_structs_are_held(url):
    data = catalog(2)
    table = data[0].append_column("tags", pa.array([["x", "y"], None]))
    table = table.append_column("size", pa.array([{"w": 1}, None]))
    load(MilvusTarget, url, plan_of(table, data[1], **FLAT), (table, data[1]))
    with client(url) as opened:
        assert [(row["tags"], row["size"]) for row in stored(opened)] == [(["x", "y"], {"w": 1}), (None, None)]


@pytest.mark.parametrize("value", ["ä" * 40_000, ["x"] * 5_000])
def test_a_value_that_is_too_long_is_refused(value):
    data = catalog(1)
    with pytest.raises(DataError, match=r"'long' has a value of more than \d+ (bytes|elements)"):
        rows_of(EmbeddedBatch(data[0].append_column("long", pa.array([value])), data[1]), "float32")
    rows_of(EmbeddedBatch(data[0].append_column("long", pa.array([value[:4_000]])), data[1]), "float32")


def test_storage_types_that_the_database_lacks_are_refused(url):
    for dtype in ("float16", "int8"):
        with pytest.raises(ConfigError, match=f"Milvus Lite has no vectors of {dtype}"):
            MilvusTarget(url, plan_of(*catalog(2), dtype=dtype)).preview()
    with pytest.raises(ConfigError, match="Euclidean"):
        MilvusTarget("milvus://h", plan_of(*catalog(2), dtype="int8")).preview()
    with pytest.raises(ConfigError, match="at most 32768 dimensions"):
        MilvusTarget(url, replace(plan_of(*catalog(2)), dim=40_000)).preview()


def test_int8_vectors_have_the_cosines_of_the_originals():
    table, embedding = catalog(20, dim=64)
    rows = rows_of(EmbeddedBatch(table, embedding * np.float32(0.01)), "int8")
    stored_rows = np.array([row["embedding"] for row in rows])
    assert stored_rows.dtype == np.int8
    for left, right in zip(stored_rows.astype(float), embedding.astype(float), strict=True):
        assert left @ right / np.linalg.norm(left) / np.linalg.norm(right) > 0.9999


def test_a_dry_run_writes_nothing(url, tmp_path):
    preview = MilvusTarget(url, plan_of(*catalog(2), index="hnsw")).preview()
    assert (preview.action, preview.columns["embedding"]) == ("create", "float_vector(8)")
    assert list(tmp_path.iterdir()) == []


def test_a_missing_folder_missing_rights_and_other_names_are_refused(url, tmp_path, monkeypatch):
    plan = plan_of(*catalog(2))
    with pytest.raises(ConfigError, match=r"ends with \.db"):
        MilvusTarget(f"milvus://{tmp_path}/shop", plan)
    with pytest.raises(RunError, match="no such folder"):
        MilvusTarget(f"milvus://{tmp_path}/no/shop.db", plan).preview()
    monkeypatch.setattr(os, "access", lambda *_: False)
    with pytest.raises(RunError, match="may not write there"):
        MilvusTarget(url, plan).preview()


def test_a_server_that_does_not_answer_is_named_without_its_password(monkeypatch):
    monkeypatch.setattr(milvus_connection, "CONNECT_S", 0.3)
    target = MilvusTarget("milvus://ann:s3cretword@127.0.0.1:9", plan_of(*catalog(2)))
    with pytest.raises(MilvusException) as lost:
        target.preview()
    assert target.is_transient(lost.value)
    sentence = target.explain(lost.value)
    assert isinstance(sentence, RunError)
    assert "Milvus at 127.0.0.1:9: does not answer" in str(sentence)
    assert "s3cretword" not in f"{sentence} {target._server!r}"


def test_errors_of_the_server_are_sentences(monkeypatch):
    monkeypatch.setenv("MILVUS_TOKEN", "s3crettoken")
    target = MilvusTarget("milvus://h", plan_of(*catalog(2)))
    refused = MilvusException(65535, "auth check failure, please check s3crettoken")
    assert "refuses this user (auth check failure, please check ***); set MILVUS_TOKEN" in str(target.explain(refused))
    assert not target.is_transient(refused)
    assert target.is_transient(MilvusException(8, "too fast"))
    assert "quota; load again" in str(target.explain(MilvusException(9, "quota")))
    assert target.explain(KeyError("x")) is None
    assert not target.is_transient(KeyError("x"))


KILLED = """
import sys
from serve_cli.retrieval.load.targets.milvus import MilvusTarget
from tests.serve_cli.retrieval.load.targets.loading import catalog, load, plan_of
data = catalog(2_000)
print("ready", flush=True)
load(MilvusTarget, sys.argv[1], plan_of(*data, batch_rows=50, index="flat"), data)
"""


@pytest.mark.slow
def test_loads_that_are_killed_at_any_time_end_with_every_id_once(url):
    data = catalog(2_000)
    for moment in np.random.default_rng(0).uniform(0, 1.5, 4):
        with subprocess.Popen([sys.executable, "-c", KILLED, url], cwd=REPOSITORY, stdout=subprocess.PIPE) as process:
            process.stdout.readline()
            try:
                process.wait(moment)
            except subprocess.TimeoutExpired:
                os.kill(process.pid, signal.SIGKILL)
    load(MilvusTarget, url, plan_of(*data, batch_rows=50, **FLAT), data)
    with client(url) as opened:
        assert [row["id"] for row in stored(opened)] == data[0]["id"].to_pylist()
        assert len(opened.list_collections()) == 1
