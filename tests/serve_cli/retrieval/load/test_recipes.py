"""The recipes of docs/databases.md that load into a database and search it, as they are written."""

import numpy as np
import pytest

from tests.recipes import ROWS, load, recipe, run, write_rows

pytestmark = pytest.mark.slow
NEAREST = [row for row in ROWS if row % 3 == 0][:10]  # to row 0, in its class


@pytest.fixture(autouse=True)
def rows(tmp_path, monkeypatch):
    write_rows(tmp_path / "embeddings")
    monkeypatch.chdir(tmp_path)


def test_postgresql(database, sql, monkeypatch):
    load("PostgreSQL", monkeypatch, "postgresql://me@host/shop", database)
    query = recipe("PostgreSQL", "sql")[0].replace("a.jpg", "0.jpg").replace("chairs", "class 0")
    setting, search = query.split(";", 1)
    sql.execute(setting)
    neighbors = sql.execute(search).fetchall()
    assert [neighbor[:2] for neighbor in neighbors] == [(f"{row}.jpg", "class 0") for row in NEAREST]
    np.testing.assert_allclose([neighbor[2] for neighbor in neighbors], [row * 8**0.5 for row in NEAREST], rtol=1e-6)


def test_lancedb(tmp_path, monkeypatch):
    pytest.importorskip("lancedb")
    load("LanceDB", monkeypatch, "/data/catalog", str(tmp_path / "catalog"))
    neighbors = run("LanceDB", [("/data/catalog", str(tmp_path / "catalog"))])["neighbors"]
    assert [neighbor["id"] for neighbor in neighbors] == [f"{row}.jpg" for row in NEAREST]
    np.testing.assert_allclose([neighbor["_distance"] for neighbor in neighbors], [8 * row**2 for row in NEAREST])


def test_qdrant(tmp_path, monkeypatch):
    pytest.importorskip("qdrant_client")
    folder = tmp_path / "qdrant"
    load("Qdrant", monkeypatch, "qdrant://host:6333", f"qdrant://{folder}")
    local = [('url="http://host:6333"', f"path={str(folder)!r}"), ("chairs", "class 0")]
    names = run("Qdrant", local)
    points = names["neighbors"]
    assert [point.payload["id"] for point in points] == [f"{row}.jpg" for row in NEAREST]
    np.testing.assert_allclose([point.score for point in points], [row * 8**0.5 for row in NEAREST], rtol=1e-5)
    names["client"].close()


def test_milvus(tmp_path, monkeypatch):
    pytest.importorskip("milvus_lite")
    from serve_cli.retrieval.load.targets.milvus_connection import disconnect, parse_url

    file = str(tmp_path / "catalog.db")
    load("Milvus", monkeypatch, "milvus://host:19530", f"milvus://{file}")
    names = run("Milvus", [("http://host:19530", file), ("chairs", "class 0")])
    neighbors = names["neighbors"]
    assert [neighbor["entity"]["id"] for neighbor in neighbors] == [f"{row}.jpg" for row in NEAREST]
    assert {neighbor["entity"]["label"] for neighbor in neighbors} == {"class 0"}
    squares = [neighbor["distance"] for neighbor in neighbors]
    np.testing.assert_allclose(squares, [8 * row**2 for row in NEAREST], rtol=1e-5)
    disconnect(parse_url(f"milvus://{file}"), names["client"])
