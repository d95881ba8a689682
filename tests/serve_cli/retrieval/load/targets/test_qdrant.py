"""A Qdrant collection after a load into the client's local mode, read with the client."""

from __future__ import annotations

import gc
import os
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pyarrow as pa
import pytest

from gluon_lifted.errors import ConfigError, RunError
from tests.serve_cli.retrieval.load.targets.loading import (
    InterruptedLoadError,
    batches,
    catalog,
    ids,
    load,
    nearest,
    plan_of,
)

qdrant_client = pytest.importorskip("qdrant_client", reason="loading needs qdrant-client", exc_type=ImportError)

from qdrant_client import QdrantClient, models
from qdrant_client.http.exceptions import ResponseHandlingException, UnexpectedResponse

from serve_cli.retrieval.load.targets import qdrant_connection
from serve_cli.retrieval.load.targets.qdrant import QdrantTarget, point_id

SERVER = "qdrant://somewhere"


@pytest.fixture
def client(monkeypatch):
    """A client in memory, which takes the place of that of a server and stays open between loads."""
    memory = QdrantClient(":memory:")
    monkeypatch.setattr(qdrant_connection, "connect", lambda _: memory)
    monkeypatch.setattr(memory, "close", lambda: None)
    monkeypatch.setattr("serve_cli.retrieval.load.targets.qdrant.CONNECTIONS", 1)  # the memory has no locks
    monkeypatch.setattr("serve_cli.retrieval.load.targets.qdrant.POLL_S", 0)
    monkeypatch.setattr(memory, "create_payload_index", lambda *_, **__: None)  # the local mode warns
    return memory


def stored(client, name="cars"):
    points, _ = client.scroll(name, limit=100_000, with_vectors=True)
    return sorted(points, key=lambda point: point.payload["stock"])


@pytest.mark.slow
@pytest.mark.parametrize(("distance", "dtype"), [("euclidean", "float32"), ("cosine", "float16")])
def test_ten_thousand_rows_are_found_as_by_exact_search(client, distance, dtype):
    data = catalog(10_000)
    plan = plan_of(*data, distance=distance, dtype=dtype, batch_rows=4_000)
    assert load(QdrantTarget, SERVER, plan, data) == [0, 1, 2]
    assert [alias.alias_name for alias in client.get_aliases().aliases] == ["cars"]
    for query in data[1][:5] + 0.1:
        points = client.query_points("cars", query=query, limit=10).points
        assert [p.payload["id"] for p in points] == ids(data, nearest(data[1], query, distance))


def test_columns_become_payload_with_their_types(client):
    data = catalog(30)
    load(QdrantTarget, SERVER, plan_of(*data), data)
    points = stored(client)
    for row, point in enumerate(points):
        expected = data[0].slice(row, 1).to_pylist()[0]
        assert point.payload == {**expected, "taken": "2024-02-29T12:30:00+00:00"}
        assert point.id == point_id(expected["id"])
        np.testing.assert_array_equal(np.array(point.vector, np.float32), data[1][row])
    assert [type(points[0].payload[name]) for name in ("price", "stock", "sold")] == [float, int, bool]


def test_the_index_is_off_during_the_load_and_on_before_the_switch(client, monkeypatch):
    data = catalog(30)
    calls = []
    for name in ("create_collection", "upload_collection", "create_payload_index", "update_collection"):
        real = getattr(client, name)

        def record(*args, _name=name, _real=real, **options):
            calls.append((_name, options))
            return _real(*args, **options)

        monkeypatch.setattr(client, name, record)
    aliases = client.update_collection_aliases
    monkeypatch.setattr(client, "update_collection_aliases", lambda c: calls.append(("switch", {})) or aliases(c))
    load(QdrantTarget, SERVER, plan_of(*data, index="hnsw_int8", batch_rows=20), data)
    names = [name for name, _ in calls]
    assert names == [
        "create_collection",
        *["upload_collection"] * 2,
        *["create_payload_index"] * 5,
        "update_collection",
        "switch",
    ]
    assert calls[0][1]["hnsw_config"].m == 0
    assert calls[0][1]["optimizers_config"].indexing_threshold == 0
    assert all(options["wait"] and options["max_retries"] == 0 for name, options in calls if name[:6] == "upload")
    assert calls[-2][1]["hnsw_config"].m == 16
    assert calls[-2][1]["optimizers_config"].indexing_threshold > 0
    assert calls[-2][1]["quantization_config"].scalar.type == models.ScalarType.INT8


def test_an_interrupted_load_resumes_and_shows_nothing_before(client):
    data = catalog(250)
    plan = plan_of(*data)
    with pytest.raises(InterruptedLoadError):
        load(QdrantTarget, SERVER, plan, data, stop=1)
    assert not client.collection_exists("cars")
    target = QdrantTarget(SERVER, plan)  # and the next batch is written in part
    target._upload([point_id(name) for name in ids(data, range(100, 140))], data[1][100:140], [{}] * 40)
    assert load(QdrantTarget, SERVER, plan, data) == [1, 2]
    assert [point.payload["id"] for point in stored(client)] == data[0]["id"].to_pylist()
    assert load(QdrantTarget, SERVER, plan, data) == []


def test_a_new_version_of_a_catalog_replaces_the_old_one_in_one_operation(client, monkeypatch):
    old, new = catalog(30), catalog(40, seed=1)
    load(QdrantTarget, SERVER, plan_of(*old), old)
    with pytest.raises(InterruptedLoadError):  # a staging that is given up
        load(QdrantTarget, SERVER, plan_of(*old, index="hnsw", batch_rows=20), old, stop=1)
    seen = []
    change = client.update_collection_aliases

    def count_around(changes):
        seen.append(client.count("cars").count)
        assert change(changes)
        seen.append(client.count("cars").count)

    monkeypatch.setattr(client, "update_collection_aliases", count_around)
    load(QdrantTarget, SERVER, plan_of(*new), new)
    assert seen == [30, 40]
    assert len(client.get_collections().collections) == 1
    np.testing.assert_array_equal([point.vector for point in stored(client)], new[1])


def test_vectors_are_read_back_and_missing_ids_left_out(client):
    data = catalog(30)
    target = QdrantTarget(SERVER, plan_of(*data))
    target.prepare()
    target.write(batches(plan_of(*data), *data)[0], 0)
    read = target.read([*ids(data, [3, 4]), "missing"])
    assert set(read) == set(ids(data, [3, 4]))
    np.testing.assert_array_equal(read[ids(data, [4])[0]], data[1][4])
    target.discard()
    assert client.get_collections().collections == []


def test_a_collection_of_other_images_is_kept(client):
    data = catalog(20)
    load(QdrantTarget, SERVER, plan_of(*data), data)
    other = plan_of(*data, source="/other")
    with pytest.raises(ConfigError, match="'cars' exists and holds embeddings of another model or of other images"):
        QdrantTarget(SERVER, other).preview()
    load(QdrantTarget, SERVER, replace(other, overwrite=True), data)
    assert client.count("cars").count == 20


def test_a_collection_that_is_no_alias_is_kept(client):
    client.create_collection("cars", vectors_config=models.VectorParams(size=2, distance=models.Distance.DOT))
    data = catalog(20)
    with pytest.raises(ConfigError, match="was not made by `lifted load`"):
        QdrantTarget(SERVER, plan_of(*data)).preview()
    load(QdrantTarget, SERVER, plan_of(*data, overwrite=True), data)
    assert client.count("cars").count == 20


@pytest.mark.parametrize("name", ["a/b", "", 'a"b', "x" * 201])
def test_a_name_that_cannot_be_used_is_refused(name):
    with pytest.raises(ConfigError, match="cannot have a collection named"):
        QdrantTarget(SERVER, plan_of(*catalog(2), table=name)).preview()


@pytest.mark.parametrize(
    "kind", [pa.binary(), pa.decimal128(5, 2), pa.time64("us"), pa.uint64(), pa.list_(pa.binary())]
)
def test_a_column_that_cannot_be_held_is_named(kind):
    table = catalog(2)[0].append_column("odd", pa.nulls(2, kind))
    with pytest.raises(ConfigError, match=r"'odd' of type .*--columns"):
        QdrantTarget(SERVER, plan_of(table, catalog(2)[1])).preview()


def test_too_many_dimensions_are_refused():
    with pytest.raises(ConfigError, match="at most 65536 dimensions"):
        QdrantTarget(SERVER, replace(plan_of(*catalog(2)), dim=70_000)).preview()


@pytest.mark.slow  # the local mode syncs each row
@pytest.mark.filterwarnings("ignore:unclosed file")  # the client forgets the lock file that it could not lock
def test_a_load_into_a_folder_resumes(tmp_path):
    data = catalog(60)
    url, plan = f"qdrant://{tmp_path / 'db'}", plan_of(*data, batch_rows=20)
    assert QdrantTarget(url, plan).preview().action == "create"
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(InterruptedLoadError):
        load(QdrantTarget, url, plan, data, stop=1)
    assert load(QdrantTarget, url, plan, data) == [1, 2]
    first = QdrantTarget(url, plan)
    assert first.preview().complete
    second = QdrantTarget(url, plan)
    with pytest.raises(RuntimeError) as locked:
        second.preview()
    assert "another process has this folder open" in str(second.explain(locked.value))
    first.close()
    del locked, second
    gc.collect()


def test_a_file_in_place_of_the_folder_and_missing_rights_are_refused(tmp_path, monkeypatch):
    plan = plan_of(*catalog(2))
    (tmp_path / "file").touch()
    with pytest.raises(RunError, match="is a file, expected a folder"):
        QdrantTarget(f"qdrant://{tmp_path / 'file'}", plan).preview()
    monkeypatch.setattr(os, "access", lambda *_: False)
    with pytest.raises(RunError, match="may not write there"):
        QdrantTarget(f"qdrant://{tmp_path / 'db'}", plan).preview()


@pytest.mark.parametrize(
    "url", ["qdrant://h:x", "qdrant://", "qdrant://h?k=1", "qdrant://h?grpc_port=x", "qdrant://[h"]
)
def test_urls_that_are_not_valid_are_refused(url):
    with pytest.raises(ConfigError, match="--to"):
        QdrantTarget(url, plan_of(*catalog(2)))


@pytest.mark.filterwarnings("ignore:Api key is used with an insecure connection")
def test_a_server_that_does_not_answer_is_named_without_its_key():
    target = QdrantTarget("qdrant://s3cretkey@127.0.0.1:9?grpc_port=9", plan_of(*catalog(2)))
    with pytest.raises(ResponseHandlingException) as lost:
        target.preview()
    assert target.is_transient(lost.value)
    sentence = target.explain(lost.value)
    assert isinstance(sentence, RunError)
    assert "Qdrant at 127.0.0.1:9: does not answer" in str(sentence)
    assert "s3cretkey" not in f"{sentence} {target._server!r}"


def test_refused_keys_and_other_errors_are_sentences(monkeypatch):
    monkeypatch.setenv("QDRANT_API_KEY", "s3cretkey")
    target = QdrantTarget(SERVER, plan_of(*catalog(2)))
    forbidden = UnexpectedResponse(403, "Forbidden", b"no write access", None)
    assert "refuses this key (403); set QDRANT_API_KEY" in str(target.explain(forbidden))
    assert not target.is_transient(forbidden)
    broken = UnexpectedResponse(400, "Bad Request", b"wrong s3cretkey", None)
    assert "s3cretkey" not in str(target.explain(broken))
    assert target.is_transient(UnexpectedResponse(503, "", b"", None))
    assert target.explain(KeyError("x")) is None
    assert not target.is_transient(KeyError("x"))


def test_an_index_that_fails_is_an_error(client, monkeypatch):
    data = catalog(20)
    failed = SimpleNamespace(optimizer_status="disk full", status="red", indexed_vectors_count=0)
    monkeypatch.setattr(client, "get_collection", lambda _: failed)
    with pytest.raises(RunError, match="cannot build the index: disk full"):
        load(QdrantTarget, SERVER, plan_of(*data, index="hnsw"), data)
    assert not client.collection_exists("cars")
