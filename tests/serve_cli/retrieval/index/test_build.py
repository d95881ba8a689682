import numpy as np
import pytest

from gluon_lifted.errors import DataError, RunError
from serve_cli.retrieval.index.build import IndexOptions, build_index
from serve_cli.retrieval.index.catalog import CatalogIndex
from serve_cli.retrieval.index.versions import index_lock
from tests.serve_cli.retrieval.index.catalogs import write_embeddings


def drawn(rows, dim=4):
    return np.random.default_rng(0).normal(size=(rows, dim)).astype(np.float32)


def test_what_is_built(tmp_path):
    vectors = drawn(12)
    built = build_index(write_embeddings(tmp_path / "a", vectors, failed=(2, 5)), tmp_path / "sub" / "i")
    assert (built.rows, built.failed, built.repeated) == (10, 2, 0)
    index = CatalogIndex.open(str(tmp_path / "sub" / "i"))
    assert index.table(np.arange(10))["price"].to_pylist() == [0, 1, 3, 4, 6, 7, 8, 9, 10, 11]
    assert np.array_equal(index.vectors(np.arange(10)), np.delete(vectors, [2, 5], axis=0))
    assert (str(index.model), index.model_sha256) == ("/models/tiny.onnx", "ab" * 32)
    assert sorted(path.name for path in (tmp_path / "sub" / "i").iterdir() if path.name[0] != ".") == [
        "index.json",
        "segment-000001",
    ]


def test_an_id_twice_with_the_same_embedding_is_left_out(tmp_path):
    vectors = drawn(6)
    vectors[4] = vectors[1]
    vectors[5] = vectors[1]
    names = ["a", "b", "c", "d", "b", "e"]
    built = build_index(write_embeddings(tmp_path / "a", vectors, ids=names), tmp_path / "i")
    assert (built.rows, built.repeated) == (5, 1)
    index = CatalogIndex.open(tmp_path / "i")
    assert index.nearest(vectors[1:2], 3).rows[0, :2].tolist() == [1, 5]
    assert index.rows_of_ids(["b"]).tolist() == [1]


def test_an_id_twice_with_other_embeddings_is_refused(tmp_path):
    source = write_embeddings(tmp_path / "a", drawn(6), ids=["a", "b", "c", "d", "b", "e"])
    with pytest.raises(DataError, match="the id 'b' occurs twice with different embeddings, in rows 1 and 4"):
        build_index(source, tmp_path / "i")
    assert not (tmp_path / "i").exists()


def test_an_index_is_replaced_only_with_overwrite(tmp_path):
    source = write_embeddings(tmp_path / "a", drawn(6))
    build_index(source, tmp_path / "i")
    with pytest.raises(RunError, match="holds an index; choose another --out, or replace it with --overwrite"):
        build_index(source, tmp_path / "i")
    manifest = build_index(source, tmp_path / "i", IndexOptions(overwrite=True)).manifest
    assert [segment.name for segment in manifest.segments] == ["segment-000002"]
    assert not (tmp_path / "i" / "segment-000001").exists()


def test_other_folders_are_kept(tmp_path):
    source = write_embeddings(tmp_path / "a", drawn(6))
    with pytest.raises(RunError, match="holds files that are not an index"):
        build_index(source, source, IndexOptions(overwrite=True))
    (tmp_path / "file").write_text("")
    with pytest.raises(RunError, match="cannot be written to"):
        build_index(source, tmp_path / "file")


def test_two_writers(tmp_path):
    source = write_embeddings(tmp_path / "a", drawn(6))
    build_index(source, tmp_path / "i")
    with index_lock(tmp_path / "i"), pytest.raises(RunError, match="another process is changing this index"):
        build_index(source, tmp_path / "i", IndexOptions(overwrite=True))


@pytest.mark.parametrize("kind", ["exact", "IVF2,Flat"])
def test_rows_with_nan_are_left_out_and_counted(tmp_path, kind, monkeypatch):
    if kind != "exact":
        pytest.importorskip("faiss")
    monkeypatch.setattr("serve_cli.retrieval.index.build.BATCH_ROWS", 4)
    vectors = drawn(12)
    vectors[[0, 7, 8, 9, 10, 11], 2] = np.nan, np.inf, np.nan, np.nan, np.nan, -np.inf
    built = build_index(
        write_embeddings(tmp_path / "a", vectors, failed=(2,)), tmp_path / "i", IndexOptions(factory=kind)
    )
    assert (built.rows, built.failed, built.not_finite, built.repeated) == (5, 1, 6, 0)
    index = CatalogIndex.open(tmp_path / "i")
    assert index.table(np.arange(5))["price"].to_pylist() == [1, 3, 4, 5, 6]
    assert np.array_equal(index.vectors(np.arange(5)), vectors[[1, 3, 4, 5, 6]])
    assert len(built.manifest.segments) == 1


def test_no_embedding_at_all(tmp_path):
    nowhere = write_embeddings(tmp_path / "nan", np.full((3, 4), np.nan))
    with pytest.raises(DataError, match="nan: every embedding has NaN or infinity"):
        build_index(nowhere, tmp_path / "i")
    assert not (tmp_path / "i").exists()
    with pytest.raises(DataError, match="has no row with an embedding"):
        build_index(write_embeddings(tmp_path / "a", drawn(3), failed=(0, 1, 2)), tmp_path / "i")
