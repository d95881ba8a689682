import base64
import json
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from gluon_lifted.errors import RunError
from serve_cli import read_embeddings
from serve_cli.embeddings.reader import NO_LABEL, encode_labels, read_table
from tests.serve_cli.embedded import batches, write_folder
from tests.serve_cli.tiny_model import CARD


@pytest.fixture
def folder(tmp_path):
    write_folder(tmp_path / "emb", batches(4, 3, bad={1, 6}), 4)
    return tmp_path / "emb"


def edit_manifest(folder, **changes):
    manifest = json.loads((folder / "manifest.json").read_text())
    (folder / "manifest.json").write_text(json.dumps({**manifest, **changes}))


def test_reads_what_was_written(folder):
    found = read_embeddings(folder)
    (expected,) = batches(7, bad={1, 6})
    assert found.card == CARD
    assert found.ids == tuple(row.id for row in expected.rows)
    assert found.paths == tuple(str(row.path) for row in expected.rows)
    assert found.label_names == tuple(row.label for row in expected.rows)
    assert found.errors == tuple(expected.errors)
    assert found.embedding.dtype == np.float32
    np.testing.assert_array_equal(found.embedding, expected.embedding)


@pytest.mark.parametrize("bad", [set(), {0}, {2}, {0, 1, 2}])
def test_any_row_may_be_null(tmp_path, bad):
    write_folder(tmp_path, batches(3, bad=bad))
    np.testing.assert_array_equal(read_embeddings(tmp_path).embedding, next(batches(3, bad=bad)).embedding)


def test_folder_without_manifest(tmp_path, folder):
    with pytest.raises(RunError, match=r"expected a folder of embeddings, which `lifted embed` writes"):
        read_embeddings(tmp_path)
    (folder / "manifest.json").unlink()
    with pytest.raises(RunError, match=r"is unfinished \(no manifest\.json\); repeat the command of `lifted embed`"):
        read_embeddings(folder)


def test_part_that_is_missing_or_extra(folder):
    extra = folder / "part-00002.parquet"
    extra.write_bytes((folder / "part-00001.parquet").read_bytes())
    with pytest.raises(RunError, match=r"part-00002\.parquet is not in manifest\.json \(2 parts expected, 3 found\)"):
        read_embeddings(folder)
    extra.unlink()
    (folder / "part-00001.parquet").unlink()
    with pytest.raises(RunError, match=r"part-00001\.parquet is missing"):
        read_embeddings(folder)


def test_part_with_other_rows_than_the_manifest_says(folder):
    part = folder / "part-00001.parquet"
    pq.write_table(read_table(part).slice(0, 2), part)
    with pytest.raises(RunError, match=r"part-00001\.parquet: has 2 rows, but manifest\.json says 3"):
        read_embeddings(folder)


def test_part_of_another_model(folder, tmp_path):
    other = replace(CARD, name="other")
    write_folder(tmp_path / "other", batches(4, 3), 4, other)
    (tmp_path / "other/part-00001.parquet").replace(folder / "part-00001.parquet")
    with pytest.raises(RunError, match="names another model"):
        read_embeddings(folder)


def test_part_with_other_columns(folder):
    part = folder / "part-00000.parquet"
    pq.write_table(pa.table({"id": ["a"] * 4}), part)
    with pytest.raises(RunError, match="has other columns than"):
        read_embeddings(folder)


@pytest.mark.parametrize(("embedding", "error"), [(None, None), ([0.0] * 8, "broken")])
def test_row_that_contradicts_itself(folder, embedding, error):
    part = folder / "part-00001.parquet"
    columns, rows = pq.read_schema(part), read_table(part).to_pylist()
    rows[0].update(embedding=embedding, error=error)
    pq.write_table(pa.Table.from_pylist(rows, columns), part)
    with pytest.raises(RunError, match="not 8 numbers, or null without an error"):
        read_embeddings(folder)


def test_lists_that_have_not_the_size_that_their_type_says(folder):
    part = folder / "part-00001.parquet"
    columns, table = pq.read_schema(part), read_table(part)
    rows = table.to_pylist()
    rows[0]["embedding"] = [0.0] * 7
    with pq.ParquetWriter(part, table.schema, store_schema=False) as writer:
        writer.write_table(pa.Table.from_pylist(rows, table.schema))
        writer.add_key_value_metadata({"ARROW:schema": base64.b64encode(columns.serialize())})
    assert pq.read_schema(part).equals(columns)
    with pytest.raises(RunError, match="not 8 numbers, or null without an error"):
        read_embeddings(folder)
    pq.write_table(pa.Table.from_pylist(rows, table.schema), part)
    with pytest.raises(RunError, match="has other columns than"):
        read_embeddings(folder)


@pytest.mark.parametrize(("dtype", "tolerance"), [("float16", 2**-11), ("int8", 0.5 / 127)])
def test_smaller_numbers(tmp_path, dtype, tolerance):
    write_folder(tmp_path, batches(7, bad={1, 6}), 4, dtype=dtype)
    found, (expected,) = read_embeddings(tmp_path), batches(7, bad={1, 6})
    assert found.embedding.dtype == np.float32
    most = np.abs(expected.embedding).max(axis=1, keepdims=True)
    bound = tolerance * (most if dtype == "int8" else np.abs(expected.embedding)) * 1.0001
    np.testing.assert_array_equal(np.isnan(found.embedding), np.isnan(expected.embedding))
    assert (np.abs(found.embedding - expected.embedding)[[0, 2, 3, 4, 5]] <= bound[[0, 2, 3, 4, 5]]).all()
    assert found.errors == tuple(expected.errors)


def test_embedding_without_a_scale(tmp_path):
    write_folder(tmp_path, batches(3), dtype="int8")
    part = tmp_path / "part-00000.parquet"
    columns, rows = pq.read_schema(part), read_table(part).to_pylist()
    rows[1]["scale"] = None
    pq.write_table(pa.Table.from_pylist(rows, columns), part)
    with pytest.raises(RunError, match="without a scale"):
        read_embeddings(tmp_path)


@pytest.mark.parametrize("damage", [b"", b"PAR1", b"truncated"])
def test_damaged_part(folder, damage):
    part = folder / "part-00000.parquet"
    part.write_bytes(part.read_bytes()[:-30] if damage == b"truncated" else damage)
    with pytest.raises(RunError, match=r"part-00000\.parquet: cannot be read"):
        read_embeddings(folder)


@pytest.mark.parametrize(
    "changes",
    [
        {"manifest_version": 2},
        {"rows": 8},
        {"failed": None},
        {"card": None},
        {"dtype": "float64"},
        {"parts": None},
        {"parts": [{"file": "../x.parquet", "rows": 7}]},
        {"parts": [{"rows": 7}]},
        {"parts": [{"file": "part-00000.parquet", "rows": "many"}]},
    ],
)
def test_damaged_manifest(folder, changes):
    edit_manifest(folder, **changes)
    with pytest.raises(RunError, match=r"manifest\.json: is damaged"):
        read_embeddings(folder)


def test_manifest_that_is_not_json_or_far_too_deep(folder):
    for text in ("", "{", "[]", "3", "[" * 100_000):
        (folder / "manifest.json").write_text(text)
        with pytest.raises(RunError, match=r"manifest\.json: is damaged"):
            read_embeddings(folder)


def test_damaged_card(folder):
    edit_manifest(folder, card={})
    with pytest.raises(RunError, match="model card is damaged"):
        read_embeddings(folder)


def test_labels_are_class_ids_with_names(tmp_path):
    write_folder(tmp_path / "emb", batches(5))
    embeddings = read_embeddings(tmp_path / "emb")
    assert embeddings.name == "emb"
    assert (embeddings.labels.dtype, embeddings.labels.tolist()) == (np.int64, [0, 1, 2, 0, 1])
    assert embeddings.class_names == ("class 0", "class 1", "class 2")
    assert embeddings.label_names == ("class 0", "class 1", "class 2", "class 0", "class 1")
    assert embeddings.images_per_class().tolist() == [2, 2, 1]


def test_some_rows_have_only_their_own_classes(tmp_path):
    write_folder(tmp_path, batches(6, bad={1, 4}))
    embeddings = read_embeddings(tmp_path)
    assert (embeddings.failed, embeddings.embedded.tolist()) == (2, [True, False, True, True, False, True])
    kept = embeddings.only(embeddings.embedded)
    assert (kept.ids, kept.failed) == (("0.jpg", "2.jpg", "3.jpg", "5.jpg"), 0)
    assert (kept.labels.tolist(), kept.class_names) == ([0, 1, 0, 1], ("class 0", "class 2"))
    np.testing.assert_array_equal(kept.embedding, embeddings.embedding[[0, 2, 3, 5]])
    assert kept.only(kept.embedded) is kept


def test_labels_among_other_class_names(tmp_path):
    write_folder(tmp_path, batches(4))
    embeddings = read_embeddings(tmp_path)
    assert embeddings.labels_in(["class 2", "other", "class 0"]).tolist() == [2, 3, 0, 2]


def test_images_without_a_label():
    labels, class_names = encode_labels(["b", None, "a", "b"])
    assert (labels.tolist(), class_names) == ([1, NO_LABEL, 0, 1], ("a", "b"))
