"""Readers see complete versions of an index while it is updated, and after updates that were killed."""

import json
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from serve_cli.retrieval.index.build import build_index
from serve_cli.retrieval.index.catalog import CatalogIndex
from serve_cli.retrieval.index.update import delete_rows, replace_rows
from tests.serve_cli.retrieval.index.catalogs import write_embeddings

ROWS = 40
READER = """
import sys
from pathlib import Path
from tests.serve_cli.retrieval.index.test_update_versions import read_until
print(read_until(Path(sys.argv[1]), Path(sys.argv[2]).exists))
"""


def version(folder, value):
    """Embeddings of the same ids, all of them ``value``."""
    return write_embeddings(folder / f"version {value}", np.full((ROWS, 3), value, np.float32))


def read_until(path, ended):
    """Open and read an index again and again; return how often a version was complete."""
    count = 0
    while not ended():
        with CatalogIndex.open(path) as index:
            for _ in range(2):  # the second time, a newer version may have been switched to
                rows = np.flatnonzero(index.live)
                vectors, ids = index.vectors(rows), index.table(rows, ["id"])["id"].to_pylist()
                assert len(rows) == len(set(ids)) == ROWS
                assert (vectors == vectors[0, 0]).all()
                nearest = index.nearest(vectors[:1], ROWS)
                assert sorted(nearest.rows[0]) == rows.tolist()
                assert not nearest.distances.any()
        count += 1
    return count


@pytest.mark.slow
def test_readers_during_50_switches(tmp_path):
    path, end = tmp_path / "i", tmp_path / "end"
    versions = [version(tmp_path, value) for value in (1, 2, 3)]
    build_index(versions[0], path)
    ended = threading.Event()
    command = [sys.executable, "-c", READER, str(path), str(end)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    with ThreadPoolExecutor(1) as threads:
        reader = threads.submit(read_until, path, ended.is_set)
        for number in range(50):
            replace_rows(path, versions[number % 3])
        ended.set()
        count = reader.result()
    end.touch()
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 0
    assert min(count, int(output)) > 5


@pytest.mark.slow
def test_an_update_killed_at_its_operations_on_files(tmp_path):
    build_index(version(tmp_path, 0), tmp_path / "i")
    replace_rows(tmp_path / "i", version(tmp_path, 1))  # a segment that the update merges with its own
    delete_rows(tmp_path / "i", ["3.jpg"])
    (tmp_path / "work").mkdir()
    script = Path(__file__).with_name("kill_update.py")
    command = [sys.executable, str(script), str(tmp_path / "i"), str(version(tmp_path, 2)), str(tmp_path / "work")]
    report = json.loads(subprocess.run(command, capture_output=True, check=True, text=True, timeout=300).stdout)
    old = sorted([f"{i}.jpg", [1.0] * 3] for i in range(ROWS) if i != 3)
    new = sorted([f"{i}.jpg", [2.0] * 3] for i in range(ROWS))
    assert report["old"] == old
    left = [result["left"] for result in report["results"]]
    switched = left.index(new)
    assert left == [old] * switched + [new] * (len(left) - switched)
    assert switched > 3
    assert len(left) - switched > 1
    assert all(result["repeated"] == new and not result["leftovers"] for result in report["results"])
