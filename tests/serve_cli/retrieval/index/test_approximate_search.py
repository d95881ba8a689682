import shutil

import numpy as np
import pytest

from gluon_lifted.errors import RunError
from serve_cli.retrieval.index.build import IndexOptions, build_index
from serve_cli.retrieval.index.catalog import CatalogIndex
from serve_cli.retrieval.index.inverted_lists import Selector
from serve_cli.retrieval.index.update import add_rows, delete_rows
from tests.serve_cli.retrieval.index.catalogs import plain_nearest, write_embeddings

faiss = pytest.importorskip("faiss")
DIM, COUNT = 8, 12


def drawn(rows, seed=0):
    return np.random.default_rng(seed).normal(size=(rows, DIM)).astype(np.float32)


VECTORS = drawn(500)
QUERIES = drawn(6, seed=1)


@pytest.fixture(scope="module")
def intact(tmp_path_factory):
    folder = tmp_path_factory.mktemp("intact")
    build_index(write_embeddings(folder / "a", VECTORS), folder / "i", IndexOptions(0.9, "IVF8,PQ4x4fs"))
    return folder / "i"


DELETED = {
    "far": np.array([row for _, row in plain_nearest(VECTORS, QUERIES[:1], 500)[0][-20:]]),
    "near": np.array([row for _, row in plain_nearest(VECTORS, QUERIES[:1], 30)[0]]),  # all that are asked for first
    "many": np.arange(0, 500, 3),
}


@pytest.mark.parametrize("kind", DELETED)
@pytest.mark.parametrize("nprobe", [1, 3, 8])
def test_candidates_after_deletions(tmp_path, intact, kind, nprobe):
    """They include all that FAISS proposes when it skips deleted rows."""
    path = shutil.copytree(intact, tmp_path / "i")
    delete_rows(path, [f"{row}.jpg" for row in DELETED[kind]])
    part = CatalogIndex.open(path).approximation.parts[0]
    near = part.lists.near(QUERIES, nprobe)
    live = np.ones(500, bool)
    live[DELETED[kind]] = False
    expected = part.lists.candidates(QUERIES, COUNT, near, Selector(live))
    for own, rows in zip(expected.tolist(), part.candidates(QUERIES, COUNT, near, None).tolist(), strict=True):
        returned = [row for row in rows if row >= 0]
        assert set(own) - {-1} <= set(returned)
        assert len(set(returned)) == len(returned)
        assert not set(returned) & set(DELETED[kind].tolist())


def test_candidates_of_all_segments_are_ranked_together(tmp_path, intact):
    path = shutil.copytree(intact, tmp_path / "i")
    more = drawn(40, seed=2)
    add_rows(path, write_embeddings(tmp_path / "b", more, ids=[f"more {row}" for row in range(40)]))
    delete_rows(path, ["more 3", "7.jpg"])
    rows = CatalogIndex.open(path).nearest(QUERIES, 538).rows  # so many that all lists are scanned
    expected = plain_nearest(np.concatenate([VECTORS, more]), QUERIES, 538, allowed=set(range(540)) - {503, 7})
    assert rows.tolist() == [[row for _, row in pairs] for pairs in expected]


def test_segments_with_other_lists_are_refused(tmp_path, intact):
    path = shutil.copytree(intact, tmp_path / "i")
    add_rows(path, write_embeddings(tmp_path / "b", drawn(40, seed=2), ids=[f"more {row}" for row in range(40)]))
    file = path / "segment-000002/vectors.faiss"
    other = faiss.index_factory(DIM, "IVF4,PQ4x4fs")
    other.train(VECTORS)
    other.add(drawn(40, seed=2))
    faiss.write_index(other, str(file))
    text = (path / "index.json").read_text().rsplit('"faiss_bytes": ', 1)
    size = text[1].split(",", 1)
    (path / "index.json").write_text(f'{text[0]}"faiss_bytes": {file.stat().st_size},{size[1]}')
    with pytest.raises(RunError, match="has 4 lists, expected 8"):
        CatalogIndex.open(path).nearest(QUERIES, 3)
