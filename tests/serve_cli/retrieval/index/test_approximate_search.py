import json
import shutil

import numpy as np
import pytest

from gluon_lifted.errors import RunError
from serve_cli.retrieval.index.build import IndexOptions, build_index
from serve_cli.retrieval.index.catalog import CatalogIndex
from serve_cli.retrieval.index.inverted_lists import Selector
from serve_cli.retrieval.index.plan import code_bytes
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
    prepared = part.proposals.prepare(QUERIES, nprobe)
    live = np.ones(500, bool)
    live[DELETED[kind]] = False
    expected = part.proposals.candidates(prepared, COUNT, Selector(live))
    for own, rows in zip(expected.tolist(), part.candidates(prepared, COUNT, None).tolist(), strict=True):
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


@pytest.fixture(scope="module")
def graph(tmp_path_factory):
    folder = tmp_path_factory.mktemp("graph")
    build_index(write_embeddings(folder / "a", VECTORS), folder / "i", IndexOptions(0.9, "PCA6,HNSW8_SQ8"))
    return folder / "i"


def far_link(index):
    hnsw = faiss.downcast_index(index.index).hnsw
    faiss.rev_swig_ptr(hnsw.neighbors.data(), hnsw.neighbors.size())[5] = 10**8


def other(factory, dim=DIM, rows=500, metric=faiss.METRIC_L2):
    def change(_):
        index = faiss.index_factory(dim, factory, metric)
        index.train(VECTORS[:, :dim])
        index.add(VECTORS[:rows, :dim])
        return index

    return change


DAMAGED_GRAPHS = {
    "a link to no row": (far_link, "HNSW neighbors"),
    "fewer rows": (other("PCA6,HNSW8_SQ8", rows=499), "expected"),
    "another width": (other("HNSW8_SQ8", dim=6), "expected"),
    "another metric": (other("HNSW8", metric=faiss.METRIC_INNER_PRODUCT), "expected"),
    "other codes": (other("HNSW8_PQ4"), "is a graph of type .IHNp."),
    "two transforms": (other("PCA6,PCA4,HNSW8"), "a transform that is not linear"),
    "no graph": (other("PCA6,Flat"), "has vectors of type"),
}


@pytest.mark.parametrize("kind", DAMAGED_GRAPHS)
def test_damaged_graphs(tmp_path, graph, kind):
    path = shutil.copytree(graph, tmp_path / "i")
    file = path / "segment-000001/vectors.faiss"
    change, message = DAMAGED_GRAPHS[kind]
    index = faiss.read_index(str(file))
    faiss.write_index(change(index) or index, str(file))
    fields = json.loads((path / "index.json").read_text())
    fields["segments"][0]["faiss_bytes"] = file.stat().st_size
    (path / "index.json").write_text(json.dumps(fields))
    with pytest.raises(RunError, match=message):
        CatalogIndex.open(path).nearest(QUERIES, 3)


def test_planned_size_of_a_graph(graph):
    size = (graph / "segment-000001/vectors.faiss").stat().st_size
    assert 500 * code_bytes("PCA6,HNSW8_SQ8", DIM) == pytest.approx(size, rel=0.25)
