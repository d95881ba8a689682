import json
import random
import shutil
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from gluon_lifted.errors import ConfigError, DataError, RunError
from serve_cli.embeddings.stream import EmbeddingStream
from serve_cli.retrieval.index.build import IndexOptions, build_index
from serve_cli.retrieval.index.catalog import CatalogIndex
from serve_cli.retrieval.index.deletions import write_deletions
from serve_cli.retrieval.index.layout import SegmentRecord, read_index_manifest
from serve_cli.retrieval.index.segment_writer import SegmentWriter
from serve_cli.retrieval.index.versions import new_segment, switch
from tests.serve_cli.retrieval.index.catalogs import plain_nearest, write_embeddings

DISTANCES = ("euclidean", "cosine")


def drawn(rows, dim=5, seed=0):
    return np.random.default_rng(seed).normal(size=(rows, dim)).astype(np.float32)


@pytest.fixture(scope="module", params=DISTANCES)
def two_segments(tmp_path_factory, request):
    """90 rows in two segments, three of them deleted: path, vectors, distance."""
    folder = tmp_path_factory.mktemp("two")
    vectors = drawn(90)
    first = write_embeddings(folder / "a", vectors[:60], distance=request.param, rows_per_file=25)
    names = [f"{i}.jpg" for i in range(60, 90)]
    second = write_embeddings(folder / "b", vectors[60:], ids=names, distance=request.param)
    path = folder / "catalog.index"
    manifest = build_index(first, path).manifest
    with new_segment(path, 2) as temporary:
        stream = EmbeddingStream(second)
        with SegmentWriter(temporary, stream.card, stream.schema) as writer:
            for batch in stream.batches(7):
                writer.write(batch)
    write_deletions(path / "deletions-000003.npy", np.array([0, 17, 75]))
    segments = (*manifest.segments, SegmentRecord("segment-000002", 30, str(second)))
    switch(path, replace(manifest, segments=segments, deletions="deletions-000003.npy", deleted=3))
    return path, vectors, request.param


def check(nearest, expected, k):
    for rows, distances, pairs in zip(*nearest, expected, strict=True):
        missing = k - len(pairs)
        assert rows.tolist() == [row for _, row in pairs] + [-1] * missing
        np.testing.assert_allclose(distances, [apart for apart, _ in pairs] + [np.inf] * missing, rtol=2e-6, atol=2e-7)


@pytest.mark.parametrize("k", [1, 10, 100])
def test_nearest(two_segments, k):
    path, vectors, distance = two_segments
    queries = np.concatenate([drawn(4, seed=1), vectors[[17, 80]]])
    with CatalogIndex.open(path) as index:
        assert (index.rows, index.total, index.exact, index.distance) == (87, 90, True, distance)
        nearest = index.nearest(queries, k)
    check(nearest, plain_nearest(vectors, queries, k, distance, set(range(90)) - {0, 17, 75}), k)


@pytest.mark.parametrize("among", [[], [17], [3, 17, 59, 60, 75, 89]])
def test_nearest_among(two_segments, among):
    path, vectors, distance = two_segments
    queries = drawn(3, seed=2)
    nearest = CatalogIndex.open(path).nearest(queries, 3, among=np.array(among, np.int64))
    check(nearest, plain_nearest(vectors, queries, 3, distance, set(among) - {17, 75}), 3)


def test_rows_of_equal_distance_keep_their_order(tmp_path):
    vectors = np.tile(drawn(1) * 1000, (50, 1))
    build_index(write_embeddings(tmp_path / "a", vectors), tmp_path / "i")
    nearest = CatalogIndex.open(tmp_path / "i").nearest(vectors[:1], 7)
    assert nearest.rows.tolist() == [list(range(7))]
    assert not nearest.distances.any()


@pytest.mark.parametrize("scale", [1e-25, 1.0, 1e25])
def test_distances_far_from_the_origin(tmp_path, scale):
    vectors = ((1e4 + drawn(40)) * scale).astype(np.float32)  # products alone would lose all digits
    build_index(write_embeddings(tmp_path / "a", vectors), tmp_path / "i")
    nearest = CatalogIndex.open(tmp_path / "i").nearest(vectors[:5], 4)
    expected = plain_nearest(vectors.astype(float), vectors[:5].astype(float), 4)
    assert nearest.rows.tolist() == [[row for _, row in pairs] for pairs in expected]


def test_columns(two_segments):
    path, vectors, distance = two_segments
    index = CatalogIndex.open(path)
    assert index.schema.names == ["id", "path", "label", "price"]
    rows = np.array([80, 3, 61, 3, 24, 25])
    table = index.table(rows)
    assert table["id"].to_pylist() == [f"{row}.jpg" for row in rows]
    assert table["path"].to_pylist() == [f"/photos/{row}.jpg" for row in rows]
    assert index.table(rows[:3], ["label"]).to_pydict() == {"label": ["class 2", "class 0", "class 1"]}
    assert len(index.table(rows[:0])) == 0
    expected = vectors[rows]
    if distance == "cosine":
        expected = expected / np.linalg.norm(expected, axis=1, keepdims=True)
    np.testing.assert_allclose(index.vectors(rows), expected, rtol=1e-6)
    with pytest.raises(DataError, match=r"no column 'cost'; its columns are id, path, label, price"):
        index.table(rows, ["cost"])


def test_rows_of_ids(two_segments):
    index = CatalogIndex.open(two_segments[0])
    assert index.rows_of_ids(["88.jpg", "2.jpg", "88.jpg"]).tolist() == [88, 2, 88]
    assert index.rows_of_ids([]).tolist() == []
    with pytest.raises(DataError, match=r"no rows with the ids '17.jpg', 'x'; give"):  # 17 is deleted
        index.rows_of_ids(["2.jpg", "17.jpg", "x"])


def test_rows_where(two_segments):
    index = CatalogIndex.open(two_segments[0])
    condition = (pc.field("price") < 20) & (pc.field("label") == "class 2")
    # prices and labels count from 0 in both segments; rows 17 and 75 are deleted
    assert index.rows_where(condition).tolist() == [2, 5, 8, 11, 14, 62, 65, 68, 71, 74, 77]
    with pytest.raises(DataError, match="cannot be applied"):
        index.rows_where(pc.field("cost") < 1)


def test_wrong_arguments(two_segments):
    index = CatalogIndex.open(two_segments[0])
    with pytest.raises(ConfigError, match="k is 0"):
        index.nearest(drawn(1), 0)
    with pytest.raises(DataError, match=r"shape \(1, 4\); this index expects \(queries, 5\)"):
        index.nearest(drawn(1, 4), 1)
    with pytest.raises(DataError, match="not finite"):
        index.nearest(np.full((1, 5), np.nan, np.float32), 1)
    with pytest.raises(DataError, match="row numbers are 0 to 90; expected 0 to 89"):
        index.nearest(drawn(1), 1, among=np.array([0, 90]))


def test_an_open_index_keeps_its_version(tmp_path):
    vectors = drawn(20)
    build_index(write_embeddings(tmp_path / "a", vectors), tmp_path / "i")
    old = CatalogIndex.open(tmp_path / "i")
    build_index(write_embeddings(tmp_path / "b", vectors[::-1]), tmp_path / "i", IndexOptions(overwrite=True))
    assert old.nearest(vectors[:1], 1).rows.tolist() == [[0]]
    assert old.table(np.array([4]))["id"].to_pylist() == ["4.jpg"]
    assert CatalogIndex.open(tmp_path / "i").nearest(vectors[:1], 1).rows.tolist() == [[19]]


def test_opening_while_the_version_is_switched(tmp_path, monkeypatch):
    build_index(write_embeddings(tmp_path / "a", drawn(20)), tmp_path / "i")
    outdated = read_index_manifest(tmp_path / "i")
    build_index(write_embeddings(tmp_path / "b", drawn(30)), tmp_path / "i", IndexOptions(overwrite=True))
    manifests = iter([outdated, read_index_manifest(tmp_path / "i")])
    monkeypatch.setattr("serve_cli.retrieval.index.catalog.read_index_manifest", lambda _: next(manifests))
    assert CatalogIndex.open(tmp_path / "i").rows == 30


def damaged(change):
    def apply(path):
        fields = json.loads((path / "index.json").read_text())
        change(fields)
        (path / "index.json").write_text(json.dumps(fields))

    return apply


def put(**values):
    return damaged(lambda fields: fields.update(values))


def put_segment(**values):
    return damaged(lambda fields: fields["segments"][0].update(values))


def cut(name, size):
    def apply(path):
        content = (path / name).read_bytes()
        (path / name).write_bytes(content[:size])

    return apply


def other_rows(table):
    def apply(path):
        with pa.ipc.new_file(str(path / "segment-000001/rows.arrow"), table.schema) as file:
            file.write_table(table)

    return apply


DAMAGE = {
    "no json": cut("index.json", 20),
    "version": put(index_version=2),
    "segment outside": put_segment(name="../segment-000001"),
    "too many rows": put_segment(rows=21),
    "negative rows": put_segment(rows=-20),
    "fractional rows": put_segment(rows=20.0),
    "a FAISS file": put_segment(faiss_bytes=7),
    "no segment": put(segments=[]),
    "a segment twice": damaged(lambda fields: fields["segments"].append(fields["segments"][0])),
    "deletions outside": put(deletions="../deletions-000001.npy", deleted=1),
    "uncounted deletions": put(deleted=1),
    "missing deletions": put(deletions="deletions-000009.npy", deleted=1),
    "recall": put(recall=2),
    "effort": put(search={"effort": 0, "rerank": 1, "filtered_effort": 1}),
    "card": put(card=[]),
    "nested": lambda path: (path / "index.json").write_text("[" * 100_000),
    "short vectors": cut("segment-000001/vectors.npy", 300),
    "short rows": cut("segment-000001/rows.arrow", 900),
    "no rows": lambda path: (path / "segment-000001/rows.arrow").unlink(),
    "other columns": other_rows(pa.table({"id": ["a"] * 20})),
    "fewer rows": other_rows(pa.table({name: ["a"] * 19 for name in ("id", "path", "label")})),
}


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    folder = tmp_path_factory.mktemp("built")
    build_index(write_embeddings(folder / "a", drawn(20)), folder / "i")
    return folder / "i"


@pytest.mark.parametrize("kind", DAMAGE)
def test_damaged_folders(tmp_path, built, kind):
    path = tmp_path / "i"
    shutil.copytree(built, path)
    DAMAGE[kind](path)
    with pytest.raises(RunError, match=r"build the index again|card is damaged"):
        CatalogIndex.open(path)


def test_compressed_rows_are_refused_before_they_take_memory(tmp_path, built):
    path = tmp_path / "i"
    shutil.copytree(built, path)
    rows = path / "segment-000001/rows.arrow"
    table = pa.ipc.open_file(str(rows)).read_all()
    with pa.ipc.new_file(str(rows), table.schema, options=pa.ipc.IpcWriteOptions(compression="zstd")) as file:
        file.write_table(table)
    with pytest.raises(RunError, match=r"rows\.arrow: is compressed, .*; build the index again"):
        CatalogIndex.open(path)


@pytest.mark.parametrize("name", ["rows.arrow", "vectors.npy"])
def test_flipped_bytes_are_an_error_or_other_rows(tmp_path, built, name):
    path, chance = tmp_path / "i", random.Random(len(name))
    shutil.copytree(built, path)
    file = path / "segment-000001" / name
    content = file.read_bytes()
    refused = 0
    for number in range(60):
        damaged = bytearray(content)
        near_an_end = chance.choice([1, -1]) * chance.randrange(1, 130)  # headers and footers
        damaged[chance.randrange(len(content)) if number % 2 else near_an_end] ^= chance.randrange(1, 256)
        file.unlink()  # the last one is mapped
        file.write_bytes(damaged)
        try:
            with CatalogIndex.open(path) as index:
                rows = index.nearest(drawn(2), 3).rows
                index.table(rows[rows >= 0])
                index.rows_where(pc.field("price") < 3)
        except RunError:
            refused += 1
    assert 5 < refused < 60


def test_offsets_that_point_outside_their_column_are_refused(tmp_path, built):
    path = tmp_path / "i"
    shutil.copytree(built, path)
    rows = path / "segment-000001/rows.arrow"
    content = rows.read_bytes()
    offsets = np.cumsum([0] + [len(f"{i}.jpg") for i in range(20)]).astype("<i4").tobytes()
    assert content.count(offsets) == 1
    rows.write_bytes(content.replace(offsets, offsets[:4] + (1 << 30).to_bytes(4, "little") + offsets[8:]))
    with pytest.raises(RunError, match=r"rows.arrow: cannot be read"):
        CatalogIndex.open(path).table(np.array([0]))


def test_deletions_that_are_not_sorted(tmp_path, built):
    path = tmp_path / "i"
    shutil.copytree(built, path)
    for rows in ([3, 2], [2, 2], [-1, 2], [2, 20]):
        write_deletions(path / "deletions-000002.npy", np.array(rows))
        put(deletions="deletions-000002.npy", deleted=2)(path)
        with pytest.raises(RunError, match="not sorted within 0 to 20"):
            CatalogIndex.open(path)


def test_a_folder_without_an_index(tmp_path):
    with pytest.raises(RunError, match=r"expected an index, which `lifted index` writes"):
        CatalogIndex.open(tmp_path)
