"""The recipes of docs/databases.md that need no server, as they are written, on a small folder of embeddings."""

import json
import re

import numpy as np
import pytest

from serve_cli.retrieval.index.build import build_index
from tests.recipes import ROWS, TEXT, recipe, run, write_rows


@pytest.fixture
def rows(tmp_path, monkeypatch):
    write_rows(tmp_path / "embeddings")
    monkeypatch.chdir(tmp_path)
    return ROWS


def test_duckdb(rows):
    duckdb = pytest.importorskip("duckdb")
    names = run("DuckDB on the parquet files")
    assert [neighbor[0] for neighbor in names["neighbors"]] == [f"{row}.jpg" for row in rows if row % 3 == 0][:10]
    everything = names["nearest"].replace("LIMIT 10", "")
    neighbors = duckdb.execute(everything, {"id": "20.jpg"}).fetchall()
    expected = sorted((abs(row - 20) * 8**0.5, f"{row}.jpg") for row in rows if row % 3 == 0)
    np.testing.assert_allclose([row[2] for row in neighbors], [distance for distance, _ in expected], rtol=1e-6)
    assert sorted(row[:2] for row in neighbors) == sorted((identifier, "class 0") for _, identifier in expected)


def test_opensearch_files_are_json(rows, tmp_path):
    run("OpenSearch")
    mapping = json.loads(re.search(r"-d '(\{.*?\})'\n", recipe("OpenSearch", "")[0], re.DOTALL)[1])
    assert set(mapping["mappings"]["properties"]) == {"path", "label", "embedding"}
    lines = (tmp_path / "bulk-000000.ndjson").read_text().splitlines()
    assert len(lines) == 2 * len(rows)
    for row, action, photo in zip(rows, lines[::2], lines[1::2], strict=True):
        assert json.loads(action) == {"index": {"_id": f"{row}.jpg"}}
        numbers = [row + number / 4 for number in range(8)]
        assert json.loads(photo) == {"path": f"/photos/{row}.jpg", "label": f"class {row % 3}", "embedding": numbers}


def test_faiss_reads_the_index_folder(rows, tmp_path, capsys):
    pytest.importorskip("faiss")
    build_index(tmp_path / "embeddings", tmp_path / "catalog.index")
    names = run("FAISS alone")
    assert names["nearest"][0].tolist() == list(range(10))  # row numbers: the failed one is not in the index
    expected = [8 * (rows[row] - rows[0]) ** 2 for row in range(10)]
    np.testing.assert_allclose(names["squared_distances"][0], expected, rtol=1e-4, atol=1e-4)
    assert "4.jpg" in capsys.readouterr().out


def test_python_recipes_are_python():
    for block in re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL):
        compile(block, "databases.md", "exec")
