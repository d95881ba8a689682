import errno
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from gluon_lifted.card import CARD_KEY
from gluon_lifted.errors import RunError
from serve_cli.runtime import sinks
from serve_cli.runtime.reader import read_embeddings
from serve_cli.runtime.rows import EmbeddedRows, ImageRow
from serve_cli.runtime.sinks import Part, regroup, require_free, write_embeddings

from ..tiny_model import CARD


def batches(*sizes, bad=(), dim=CARD.dim):
    """Row i has embedding [i, i + 0.25, ...], id ``i.jpg`` and label ``i % 3``; rows in ``bad`` have errors."""
    start = 0
    for size in sizes:
        numbers = range(start, start + size)
        rows = [ImageRow(f"{i}.jpg", Path(f"/photos/{i}.jpg"), f"class {i % 3}") for i in numbers]
        embedding = np.array(numbers, np.float32)[:, None] + np.arange(dim, dtype=np.float32) / 4
        errors = [f"{i}.jpg: broken" if i in bad else None for i in numbers]
        embedding[[i in bad for i in numbers]] = np.nan
        yield EmbeddedRows(rows, embedding.reshape(size, dim), errors)
        start += size


def files(folder):
    return sorted(path.name for path in folder.iterdir())


def test_parts_hold_every_row_in_order(tmp_path):
    parts = write_embeddings(tmp_path / "emb", batches(5, 5, 3, bad={2, 12}), CARD, {"source": "x"}, 2, 3)
    assert files(tmp_path / "emb") == [
        "manifest.json",
        "part-00000.parquet",
        "part-00001.parquet",
        "part-00002.parquet",
    ]
    assert parts == [
        Part("part-00000.parquet", 6, 1),
        Part("part-00001.parquet", 6, 0),
        Part("part-00002.parquet", 1, 1),
    ]
    rows = [row for part in parts for row in pq.ParquetFile(tmp_path / "emb" / part.file).read().to_pylist()]
    for number, row in enumerate(rows):
        bad = number in {2, 12}
        assert row == {
            "id": f"{number}.jpg",
            "path": f"/photos/{number}.jpg",
            "label": f"class {number % 3}",
            "embedding": None if bad else [number + d / 4 for d in range(CARD.dim)],
            "error": f"{number}.jpg: broken" if bad else None,
        }


def test_card_is_in_every_part_and_in_the_manifest(tmp_path):
    write_embeddings(tmp_path, batches(3), CARD, {"source": "x"}, 2, 1)
    for part in ("part-00000.parquet", "part-00001.parquet"):
        assert pq.read_schema(tmp_path / part).metadata[CARD_KEY.encode()].decode() == CARD.to_json()
    manifest = json.loads((tmp_path / "manifest.json").read_text())
    assert manifest["card"] == json.loads(CARD.to_json())
    assert (manifest["rows"], manifest["failed"], manifest["source"]) == (3, 0, "x")


def test_label_that_is_not_known_is_null(tmp_path):
    (batch,) = batches(1)
    batch = EmbeddedRows([replace(batch.rows[0], label=None)], batch.embedding, batch.errors)
    write_embeddings(tmp_path, [batch], CARD, {})
    assert pq.ParquetFile(tmp_path / "part-00000.parquet").read()["label"].to_pylist() == [None]


@pytest.mark.parametrize("size", [1, 2, 3, 5, 13, 100])
def test_regroup_keeps_rows_and_order(size):
    groups = list(regroup(batches(1, 5, 0, 4, 3, bad={3}), size))
    whole = next(batches(13, bad={3}))
    assert [len(group.rows) for group in groups] == [size] * (13 // size) + [13 % size] * (13 % size > 0)
    assert [row for group in groups for row in group.rows] == whole.rows
    assert [error for group in groups for error in group.errors] == whole.errors
    np.testing.assert_array_equal(np.concatenate([group.embedding for group in groups]), whole.embedding)


def test_free_folders():
    require_free(Path("/nowhere/at/all"), overwrite=False)


def test_finished_embeddings_are_not_replaced_unasked(tmp_path):
    write_embeddings(tmp_path, batches(3), CARD, {})
    with pytest.raises(RunError, match=r"already holds finished embeddings.*--overwrite"):
        require_free(tmp_path, overwrite=False)
    require_free(tmp_path, overwrite=True)
    (tmp_path / "manifest.json").unlink()
    with pytest.raises(RunError, match="1 part files of a run that did not finish"):
        require_free(tmp_path, overwrite=False)


def test_file_in_place_of_the_folder(tmp_path):
    (tmp_path / "emb").write_text("")
    with pytest.raises(RunError, match="is a file"):
        require_free(tmp_path / "emb", overwrite=True)


def test_overwriting_leaves_nothing_of_the_old_and_nothing_foreign_is_touched(tmp_path):
    write_embeddings(tmp_path, batches(6), CARD, {}, 2, 1)
    (tmp_path / "notes.txt").write_text("mine")
    (tmp_path / "part-one.parquet").write_text("mine")
    write_embeddings(tmp_path, batches(2), CARD, {}, 2, 1)
    assert files(tmp_path) == ["manifest.json", "notes.txt", "part-00000.parquet", "part-one.parquet"]
    assert len(read_embeddings(tmp_path).ids) == 2


def stop_after(number, error):
    for count, batch in enumerate(batches(*[2] * 10)):
        if count == number:
            raise error
        yield batch


def test_interrupted_run_leaves_complete_parts_and_no_manifest(tmp_path):
    with pytest.raises(KeyboardInterrupt):
        write_embeddings(tmp_path, stop_after(5, KeyboardInterrupt()), CARD, {}, 2, 2)
    assert files(tmp_path) == ["part-00000.parquet", "part-00001.parquet"]
    assert pq.ParquetFile(tmp_path / "part-00001.parquet").metadata.num_rows == 4


def test_old_embeddings_stay_until_there_are_new_ones(tmp_path):
    write_embeddings(tmp_path, batches(6), CARD, {}, 2, 2)
    with pytest.raises(KeyboardInterrupt):
        write_embeddings(tmp_path, stop_after(1, KeyboardInterrupt()), CARD, {}, 2, 2)
    assert len(read_embeddings(tmp_path).ids) == 6
    with pytest.raises(KeyboardInterrupt):
        write_embeddings(tmp_path, stop_after(3, KeyboardInterrupt()), CARD, {}, 2, 2)
    assert files(tmp_path) == ["part-00000.parquet"]


def test_leftovers_of_a_killed_run_are_removed(tmp_path):
    for name in (".part-00003.parquet.123.tmp", ".manifest.json.9.tmp", ".other.tmp"):
        (tmp_path / name).write_text("half")
    write_embeddings(tmp_path, batches(1), CARD, {})
    assert files(tmp_path) == [".other.tmp", "manifest.json", "part-00000.parquet"]


def test_disk_that_is_full_is_one_sentence_and_leaves_no_half_file(tmp_path, monkeypatch):
    class Full(pq.ParquetWriter):
        def write_table(self, table, row_group_size=None):
            raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(sinks.pq, "ParquetWriter", Full)
    with pytest.raises(RunError, match=r"cannot be written to .*No space left on device"):
        write_embeddings(tmp_path, batches(3), CARD, {})
    assert files(tmp_path) == []


def test_folder_that_may_not_be_written_to(tmp_path, monkeypatch):
    monkeypatch.setattr(sinks.os, "access", lambda path, mode: False)
    with pytest.raises(RunError, match=r"cannot be written to .*permission denied"):
        write_embeddings(tmp_path, pytest.fail, CARD, {})
