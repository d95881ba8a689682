import random
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from threadpoolctl import threadpool_limits

from gluon_lifted.errors import DataError, RunError
from serve_cli.retrieval.index.build import IndexOptions, build_index
from serve_cli.retrieval.index.catalog import CatalogIndex
from serve_cli.retrieval.index.layout import SearchParameters, read_index_manifest, write_manifest
from serve_cli.retrieval.index.update import add_rows, delete_rows, replace_rows
from serve_cli.retrieval.index.versions import index_lock
from tests.serve_cli.retrieval.index.catalogs import plain_nearest, write_embeddings


def drawn(rows, dim=4, seed=0):
    return np.random.default_rng(seed).normal(size=(rows, dim)).astype(np.float32)


@pytest.fixture(autouse=True)
def _one_thread():
    with threadpool_limits(1):
        yield


@pytest.fixture
def index(tmp_path):
    """An index of ``0.jpg`` to ``11.jpg``."""
    build_index(write_embeddings(tmp_path / "first", drawn(12)), tmp_path / "i")
    return tmp_path / "i"


def names_in(path):
    return sorted(file.name for file in path.iterdir() if file.name[0] != ".")


def ids_of(path):
    index = CatalogIndex.open(path)
    return index.table(np.flatnonzero(index.live), ["id"])["id"].to_pylist()


def check_equal(path, expected, distance):
    """Compare an index with vectors and prices by id."""
    with CatalogIndex.open(path) as index:
        assert index.rows == len(expected)
        ids = sorted(expected)
        rows = index.rows_of_ids(ids)
        table = index.table(rows).to_pydict()
        assert table["id"] == ids
        assert table["path"] == [f"/photos/{name}" for name in ids]
        assert table["price"] == [expected[name][1] for name in ids]
        cheap = index.table(index.rows_where(pc.field("price") < 3), ["id"])["id"].to_pylist()
        assert sorted(cheap) == [name for name in ids if expected[name][1] < 3]
        vectors = np.array([expected[name][0] for name in ids], np.float32).reshape(len(ids), -1)
        queries = drawn(2, seed=9)
        nearest = index.nearest(queries, 5)
        for near, distances, pairs in zip(*nearest, plain_nearest(vectors, queries, 5, distance), strict=True):
            assert [ids[row] for _, row in pairs] == index.table(near[near >= 0], ["id"])["id"].to_pylist()
            np.testing.assert_allclose(distances[: len(pairs)], [apart for apart, _ in pairs], rtol=1e-6, atol=1e-6)


def search_all_lists(path):
    manifest = read_index_manifest(path)
    write_manifest(path, replace(manifest, search=SearchParameters(4, 50, 4)))


@pytest.mark.parametrize(
    ("kind", "distance"), [("exact", "euclidean"), ("IVF4,Flat", "cosine"), ("IVF4,PQ2x4fs", "euclidean")]
)
def test_random_updates(tmp_path, kind, distance):
    if kind != "exact":
        pytest.importorskip("faiss")
    seed = len(kind)
    chance, path = random.Random(seed), tmp_path / "i"
    vectors = drawn(400, seed=seed)
    used = iter(range(400))
    expected = {}

    def embeddings(ids):
        numbers = [next(used) for _ in ids]
        folder = write_embeddings(tmp_path / f"e{numbers[0]}", vectors[numbers], ids=ids, distance=distance)
        pairs = zip(ids, numbers, strict=True)
        return folder, {name: (vectors[number], price) for price, (name, number) in enumerate(pairs)}

    folder, rows = embeddings([f"{i}.jpg" for i in range(30)])
    build_index(folder, path, IndexOptions(factory=kind, threads=1))
    search_all_lists(path)
    expected.update(rows)
    for step in range(8):
        kind = chance.choice(["add", "delete", "replace"])
        known = chance.sample(sorted(expected), chance.randint(0, min(6, len(expected))))
        new = [f"{step}-{i}.jpg" for i in range(chance.randint(1, 5))]
        if kind == "delete":
            updated = delete_rows(path, known)
            assert (updated.added, updated.deleted) == (0, len(known))
            for name in known:
                del expected[name]
        elif kind == "add":
            folder, rows = embeddings(new)
            updated = add_rows(path, folder)
            assert (updated.added, updated.deleted) == (len(new), 0)
            expected.update(rows)
        else:
            folder, rows = embeddings(chance.sample(known + new, len(known + new)))
            updated = replace_rows(path, folder)
            assert (updated.added, updated.deleted) == (len(known + new), len(known))
            expected.update(rows)
        assert updated.rows == len(expected)
        check_equal(path, expected, distance)


def test_segments_that_the_memory_cannot_hold_are_not_merged(index, tmp_path, monkeypatch):
    monkeypatch.setattr("serve_cli.retrieval.index.update.encodable_rows", lambda *_: 5)
    for number in range(4):
        folder = write_embeddings(tmp_path / f"{number}", drawn(2, seed=number), ids=[f"{number}a", f"{number}b"])
        manifest = add_rows(index, folder).manifest
        assert max(segment.rows for segment in manifest.segments if segment.added) <= 4
    assert [segment.rows for segment in manifest.segments] == [12, 4, 4]
    assert ids_of(index)[12:] == ["0a", "0b", "1a", "1b", "2a", "2b", "3a", "3b"]


def test_whole_prices_join_an_index_of_decimal_prices(tmp_path):
    decimal = pa.schema([("price", pa.float64())])
    path = tmp_path / "i"
    build_index(write_embeddings(tmp_path / "first", drawn(3), carried=decimal), path)
    add_rows(path, write_embeddings(tmp_path / "more", drawn(3, seed=1), ids=["a", "b", "c"]))
    check_equal(
        path,
        {f"{i}.jpg": (drawn(3)[i], i) for i in range(3)} | {"abc"[i]: (drawn(3, seed=1)[i], i) for i in range(3)},
        "euclidean",
    )
    assert CatalogIndex.open(path).schema.field("price").type == pa.float64()
    build_index(tmp_path / "more", tmp_path / "whole")
    with pytest.raises(DataError, match=r"price \(double, expected int64\)"):
        add_rows(*(tmp_path / name for name in ("whole", "first")))


def test_added_rows_with_nan_are_left_out_and_counted(index, tmp_path):
    vectors = drawn(3, seed=4)
    vectors[1] = np.nan
    more = write_embeddings(tmp_path / "more", vectors, ids=["a", "b", "c"], failed=(2,))
    updated = add_rows(index, more)
    assert (updated.rows, updated.added, updated.failed, updated.not_finite) == (13, 1, 1, 1)
    assert ids_of(index)[12:] == ["a"]
    before = names_in(index)
    with pytest.raises(DataError, match="every embedding has NaN or infinity"):
        add_rows(index, write_embeddings(tmp_path / "nan", vectors[1:2], ids=["d"]))
    assert names_in(index) == before


def test_small_segments_are_merged(index, tmp_path):
    sizes = []
    for number in range(8):
        more = write_embeddings(tmp_path / f"{number}", drawn(2, seed=number), ids=[f"{number}a", f"{number}b"])
        manifest = add_rows(index, more).manifest
        sizes.append([segment.rows for segment in manifest.segments])
    assert sizes == [[12, 2], [12, 4], [12, 6], [12, 8], [12, 10], [12, 10, 2], [12, 14], [12, 14, 2]]
    assert names_in(index) == ["index.json", *(segment.name for segment in manifest.segments)]
    assert manifest.added == 16
    delete_rows(index, ["0a", "4a", "5.jpg"])
    last = write_embeddings(tmp_path / "last", drawn(16, seed=8), ids=[f"last {i}" for i in range(16)])
    updated = add_rows(index, last)
    assert [segment.rows for segment in updated.manifest.segments] == [12, 30]
    assert (updated.manifest.deleted, updated.rows) == (1, 41)  # only the row of the first segment is still there


def test_a_merged_segment_whose_rows_are_all_deleted(index, tmp_path):
    more = write_embeddings(tmp_path / "more", drawn(2, seed=1), ids=["a", "b"])
    for _ in range(3):
        updated = replace_rows(index, more)
        assert [segment.rows for segment in updated.manifest.segments] == [12, 2]
        assert (updated.manifest.deleted, updated.rows) == (0, 14)


def test_recall_is_that_of_a_rebuild(tmp_path):
    pytest.importorskip("faiss")
    vectors, ids = drawn(600, 8), [f"{i}.jpg" for i in range(600)]
    paths = []
    for name, built in (("updated", 400), ("rebuilt", 600)):
        source = write_embeddings(tmp_path / name, vectors[:built])
        build_index(source, tmp_path / f"{name}.index", IndexOptions(0.9, "IVF16,PQ4x4fs", threads=1))
        paths.append(tmp_path / f"{name}.index")
    for start in (400, 450):
        part = slice(start, start + 50 if start == 400 else 600)
        add_rows(paths[0], write_embeddings(tmp_path / f"{start}", vectors[part], ids=ids[part]))
    queries = drawn(100, 8, seed=3)
    squared = ((queries.astype(float)[:, None] - vectors) ** 2).sum(axis=2)
    truth = [{ids[row] for row in order} for order in squared.argsort(axis=1)[:, :10]]
    recalls = []
    for path in paths:
        index = CatalogIndex.open(path)
        ids_of_nearest = [index.table(rows, ["id"])["id"].to_pylist() for rows in index.nearest(queries, 10).rows]
        hits = [len(true & set(got)) for true, got in zip(truth, ids_of_nearest, strict=True)]
        recalls.append(np.mean(hits) / 10)
    assert recalls[0] > recalls[1] - 0.03


def test_files_of_old_versions_are_removed(index, tmp_path):
    delete_rows(index, ["3.jpg"])
    assert names_in(index) == ["deletions-000002.npy", "index.json", "segment-000001"]
    replace_rows(index, write_embeddings(tmp_path / "more", drawn(2, seed=1)))
    assert names_in(index) == ["deletions-000003.npy", "index.json", "segment-000001", "segment-000003"]


def test_what_a_killed_update_left_is_removed(index):
    left = [index / "segment-000002", index / "segment-000003", index / ".segment-000004.12ab.tmp"]
    for folder in left:
        folder.mkdir()
        (folder / "vectors.npy").write_text("half")
    (index / "deletions-000002.npy").write_text("half")
    manifest = delete_rows(index, ["3.jpg"]).manifest
    assert names_in(index) == [manifest.deletions, "index.json", "segment-000001"]
    assert not left[2].exists()


def test_an_update_that_changes_nothing_switches_nothing(index):
    before = (index / "index.json").stat().st_mtime_ns
    assert delete_rows(index, []).deleted == 0
    assert delete_rows(index, ["x"], missing_ok=True).missing == 1
    assert (index / "index.json").stat().st_mtime_ns == before


def test_all_rows_can_be_deleted(index, tmp_path):
    assert delete_rows(index, ids_of(index)).rows == 0
    assert CatalogIndex.open(index).nearest(drawn(1), 1).rows.tolist() == [[-1]]
    assert add_rows(index, tmp_path / "first").rows == 12


def test_deletions_can_be_repeated(index):
    updated = delete_rows(index, ["3.jpg", "5.jpg", "3.jpg"])
    assert (updated.deleted, updated.missing, updated.rows) == (2, 0, 10)
    with pytest.raises(
        DataError, match=r"lacks 2 \('3.jpg', 'x'\) of the 3 ids to delete; nothing was deleted.*--missing-ok"
    ):
        delete_rows(index, ["3.jpg", "4.jpg", "x"])
    assert "4.jpg" in ids_of(index)
    updated = delete_rows(index, ["3.jpg", "4.jpg", "x"], missing_ok=True)
    assert (updated.deleted, updated.missing, updated.rows) == (1, 2, 9)


def test_ids_that_exist_are_not_added(index, tmp_path):
    names = ["new.jpg", "7.jpg", "2.jpg", "1.jpg", "0.jpg"]
    before = ids_of(index)
    more = write_embeddings(tmp_path / "more", drawn(5, seed=1), ids=names)
    with pytest.raises(
        DataError, match=r"4 \('7.jpg', '2.jpg', '1.jpg', \.\.\.\) of its 5 ids are already in .*--replace"
    ):
        add_rows(index, more)
    assert ids_of(index) == before
    assert [file.name for file in index.iterdir() if "segment" in file.name] == ["segment-000001"]


@pytest.mark.parametrize("change", [add_rows, replace_rows])
def test_an_id_twice(index, tmp_path, change):
    vectors = drawn(3, seed=1)
    twice = write_embeddings(tmp_path / "twice", vectors, ids=["a", "b", "a"])
    with pytest.raises(DataError, match="the id 'a' occurs twice with different embeddings, in rows 0 and 2"):
        change(index, twice)
    vectors[2] = vectors[0]
    same = write_embeddings(tmp_path / "same", vectors, ids=["a", "b", "a"], failed=())
    updated = change(index, same)
    assert (updated.added, updated.repeated, updated.rows) == (2, 1, 14)
    assert CatalogIndex.open(index).rows_of_ids(["a"]).tolist() == [12]


def test_rows_without_an_embedding_are_left_out(index, tmp_path):
    more = write_embeddings(tmp_path / "more", drawn(3, seed=1), ids=["a", "b", "c"], failed=(1,))
    updated = add_rows(index, more)
    assert (updated.added, updated.failed, updated.rows) == (2, 1, 14)
    none = write_embeddings(tmp_path / "none", drawn(1), ids=["d"], failed=(0,))
    with pytest.raises(DataError, match="has no row with an embedding"):
        add_rows(index, none)


def test_embeddings_that_do_not_fit(index, tmp_path):
    wider = write_embeddings(tmp_path / "wider", drawn(2, dim=5), ids=["a", "b"])
    with pytest.raises(DataError, match=r"was embedded with dim 5, but .* expects 4"):
        add_rows(index, wider)
    cosine = write_embeddings(tmp_path / "cosine", drawn(2), ids=["a", "b"], distance="cosine")
    with pytest.raises(DataError, match=r"distance cosine, but .* expects euclidean"):
        replace_rows(index, cosine)


def test_embeddings_of_another_model(index, tmp_path):
    more = write_embeddings(tmp_path / "more", drawn(2), ids=["a", "b"])
    manifest = read_index_manifest(index)
    preprocessing = replace(manifest.card.preprocessing, crop=15)
    write_manifest(index, replace(manifest, card=replace(manifest.card, preprocessing=preprocessing)))
    with pytest.raises(DataError, match=r"was embedded with preprocessing .*crop=16.* expects .*crop=15"):
        add_rows(index, more)
    write_manifest(index, replace(manifest, model_sha256="cd" * 32))
    with pytest.raises(DataError, match=r"by .* \(SHA-256 abab.*\), but .* \(SHA-256 cdcd"):
        add_rows(index, more)


def test_other_columns(index, tmp_path):
    other = pa.schema([pa.field("price", pa.float64()), pa.field("weight", pa.float64())])
    more = write_embeddings(tmp_path / "more", drawn(2), ids=["a", "b"], carried=other)
    with pytest.raises(DataError, match=r"price \(double, expected int64\), weight \(double, expected no such"):
        add_rows(index, more)


def test_two_writers(index, tmp_path):
    with (
        index_lock(index),
        pytest.raises(RunError, match=r"another process is changing this index \(process \d+ on .+\)"),
    ):
        delete_rows(index, ["3.jpg"])


def test_folders_that_are_no_index(tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(RunError, match=r"expected an index, which `lifted index` writes"):
        delete_rows(tmp_path / "empty", ["a"])
    assert not any((tmp_path / "empty").iterdir())


def test_a_full_disk(index, tmp_path, monkeypatch):
    more = write_embeddings(tmp_path / "more", drawn(2), ids=["a", "b"])
    before = ids_of(index)

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("serve_cli.retrieval.index.segment_writer.sync", full)
    with pytest.raises(RunError, match=r"cannot be written to .*No space left.*index was not changed"):
        add_rows(index, more)
    assert ids_of(index) == before
    assert names_in(index) == ["index.json", "segment-000001"]
