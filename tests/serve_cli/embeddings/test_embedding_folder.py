import errno
import json
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from gluon_lifted.contract import CARD_KEY
from gluon_lifted.errors import DataError, RunError
from gluon_lifted.files import replaced_file
from serve_cli.embeddings import embedding_folder as sinks
from serve_cli.embeddings import parquet_format as parquet_parts
from serve_cli.embeddings.embedding_folder import EmbeddingFolder
from serve_cli.embeddings.parts import Part
from serve_cli.embeddings.reader import read_embeddings, read_table
from serve_cli.embeddings.resume_plan import Plan, read_plan
from serve_cli.sources.image_row import EmbeddedRows, regroup
from tests.serve_cli.embedded import batches, write_folder
from tests.serve_cli.tiny_model import CARD

PLAN = Plan(
    "/photos", 10, "ids", "paths", "carried", "files", "model", "CPUExecutionProvider", 2, 4
)  # parts of 4, 4 and 2 rows


def files(folder):
    return sorted(path.name for path in folder.iterdir())


def parts():
    return list(regroup(batches(10, bad={2, 9}), 4))


def open_folder(folder, plan=PLAN, **options):
    return EmbeddingFolder(folder, plan, CARD, **options)


def test_parts_hold_every_row_in_order(tmp_path):
    found = write_folder(tmp_path / "emb", batches(5, 5, 3, bad={2, 12}), rows_per_file=6)
    assert files(tmp_path / "emb") == [
        "manifest.json",
        "part-00000.parquet",
        "part-00001.parquet",
        "part-00002.parquet",
        "plan.json",
    ]
    assert found == (
        Part("part-00000.parquet", 6, 1),
        Part("part-00001.parquet", 6, 0),
        Part("part-00002.parquet", 1, 1),
    )
    rows = [row for part in found for row in read_table(tmp_path / "emb" / part.file).to_pylist()]
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
    write_folder(tmp_path, batches(3), rows_per_file=2, about={"more": "x"})
    for part in ("part-00000.parquet", "part-00001.parquet"):
        assert pq.read_schema(tmp_path / part).metadata[CARD_KEY.encode()].decode() == CARD.to_json()
    manifest = json.loads((tmp_path / "manifest.json").read_text())
    assert manifest["card"] == json.loads(CARD.to_json())
    assert (manifest["rows"], manifest["failed"], manifest["source"], manifest["more"]) == (3, 0, "/photos", "x")


def test_label_that_is_not_known_is_null(tmp_path):
    (batch,) = batches(1)
    write_folder(tmp_path, [EmbeddedRows([replace(batch.rows[0], label=None)], batch.embedding, batch.errors)])
    assert read_table(tmp_path / "part-00000.parquet")["label"].to_pylist() == [None]


@pytest.mark.parametrize("size", [1, 2, 3, 5, 13, 100])
def test_regroup_keeps_rows_and_order(size):
    groups = list(regroup(batches(1, 5, 0, 4, 3, bad={3}), size))
    whole = next(batches(13, bad={3}))
    assert [len(group.rows) for group in groups] == [size] * (13 // size) + [13 % size] * (13 % size > 0)
    assert [row for group in groups for row in group.rows] == whole.rows
    assert [error for group in groups for error in group.errors] == whole.errors
    np.testing.assert_array_equal(np.concatenate([group.embedding for group in groups]), whole.embedding)


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 0, 1)])
def test_parts_may_come_in_any_order_and_from_several_runs(tmp_path, order):
    for count, number in enumerate(order):
        folder = open_folder(tmp_path)
        assert set(folder.finished) == set(order[:count])
        assert folder.complete({}) is None
        folder.write(number, [parts()[number]])
    assert not (tmp_path / "manifest.json").exists()
    assert [part.rows for part in open_folder(tmp_path).complete({})] == [4, 4, 2]
    assert read_embeddings(tmp_path).ids == tuple(f"{number}.jpg" for number in range(10))
    assert open_folder(tmp_path).finished == {
        0: Part("part-00000.parquet", 4, 1),
        1: Part("part-00001.parquet", 4, 0),
        2: Part("part-00002.parquet", 2, 1),
    }


def test_manifest_of_a_finished_folder_is_left_alone(tmp_path):
    write_folder(tmp_path, batches(3))
    before = (tmp_path / "manifest.json").read_bytes()
    write_folder_again = EmbeddingFolder(tmp_path, read_plan(tmp_path), CARD)
    assert len(write_folder_again.complete({"created": "later"})) == 1
    assert (tmp_path / "manifest.json").read_bytes() == before


@pytest.mark.parametrize("damage", [b"", b"PAR1", None])
def test_damaged_part_is_not_finished(tmp_path, damage):
    folder = open_folder(tmp_path)
    for number, part in enumerate(parts()):
        folder.write(number, [part])
    path = tmp_path / "part-00001.parquet"
    path.write_bytes((tmp_path / "part-00002.parquet").read_bytes() if damage is None else damage)
    assert set(open_folder(tmp_path).finished) == {0, 2}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"source": "/other"}, r"the source has changed \(from /photos to /other\)"),
        ({"rows": 11}, r"the number of images has changed \(from 10 to 11\)"),
        ({"ids_sha256": "other"}, "images or labels have changed"),
        ({"paths_sha256": "other"}, "the paths of images have changed"),
        ({"carried_sha256": "other"}, "values or types of carried columns have changed"),
        ({"files_sha256": "other"}, "sizes or modification times of image files have changed.*--ignore-changed-files"),
        ({"columns": "other"}, "the names of the table's columns have changed"),
        ({"model_sha256": "other"}, "the model has changed"),
        ({"provider": "CUDAExecutionProvider"}, "the device that runs the network has changed"),
        ({"batch_size": 3}, "the batch size has changed"),
        ({"rows_per_file": 5}, "the number of rows per file has changed"),
    ],
)
def test_another_plan_is_refused_with_the_difference(tmp_path, change, message):
    open_folder(tmp_path).write(0, [parts()[0]])
    with pytest.raises(RunError, match=rf"{message}.*--overwrite"):
        open_folder(tmp_path, replace(PLAN, **change))
    assert open_folder(tmp_path, replace(PLAN, **change), overwrite=True).finished == {}


def test_embeddings_without_a_plan_are_refused(tmp_path):
    open_folder(tmp_path).write(0, [parts()[0]])
    (tmp_path / "plan.json").unlink()
    with pytest.raises(RunError, match=r"holds embeddings but no plan\.json"):
        open_folder(tmp_path)


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"source": 1}', "\x00", "x" * 70_000, "[" * 60_000])
def test_damaged_plan_is_named(tmp_path, content):
    open_folder(tmp_path).write(0, [parts()[0]])
    (tmp_path / "plan.json").write_text(content)
    with pytest.raises(RunError, match=r"plan\.json: is damaged .*--overwrite"):
        open_folder(tmp_path)


def test_file_in_place_of_the_folder(tmp_path):
    (tmp_path / "emb").write_text("")
    with pytest.raises(RunError, match="is a file"):
        open_folder(tmp_path / "emb", overwrite=True)
    assert read_plan(tmp_path / "emb" / "within") is None  # the error comes from writing


def test_overwriting_leaves_nothing_of_the_old_and_nothing_foreign_is_touched(tmp_path):
    write_folder(tmp_path, batches(6), rows_per_file=2)
    (tmp_path / "notes.txt").write_text("mine")
    (tmp_path / "part-one.parquet").write_text("mine")
    plan = replace(PLAN, rows=2)
    folder = open_folder(tmp_path, plan, overwrite=True)
    folder.write(0, batches(2))
    folder.complete({})
    assert files(tmp_path) == ["manifest.json", "notes.txt", "part-00000.parquet", "part-one.parquet", "plan.json"]
    assert len(read_embeddings(tmp_path).ids) == 2


def stop_after(number, error):
    for count, batch in enumerate(batches(*[2] * 10)):
        if count == number:
            raise error
        yield batch


def test_old_embeddings_stay_until_there_is_a_new_part(tmp_path):
    write_folder(tmp_path, batches(6), rows_per_file=2)
    folder = open_folder(tmp_path, overwrite=True)
    with pytest.raises(KeyboardInterrupt):
        folder.write(0, stop_after(1, KeyboardInterrupt()))
    assert len(read_embeddings(tmp_path).ids) == 6
    folder.write(0, [parts()[0]])
    assert files(tmp_path) == ["part-00000.parquet", "plan.json"]
    assert read_plan(tmp_path) == PLAN


def test_leftovers_of_killed_runs_are_removed_but_not_files_of_living_ones_or_of_others(tmp_path):
    for name in (".part-00000.parquet.123.tmp", ".part-00003.parquet.123.tmp", ".other.tmp"):
        (tmp_path / name).write_text("half")
    with replaced_file(tmp_path / "part-00007.parquet") as living, open_folder(tmp_path).begin(0, 1):
        assert files(tmp_path) == [".other.tmp", living.name, ".run.lock", ".task-0-of-1.lock", "plan.json"]
        living.write_text("whole")
    assert files(tmp_path) == [".other.tmp", "part-00007.parquet", "plan.json"]


def test_a_plan_without_parts_gives_way_to_another_unless_a_job_array_shares_it(tmp_path):
    with open_folder(tmp_path).begin(0, 2):
        pass
    other = replace(PLAN, batch_size=3)
    with pytest.raises(RunError, match="the batch size has changed"), open_folder(tmp_path, other).begin(1, 2):
        pass
    with pytest.raises(RunError, match="the batch size has changed"):
        open_folder(tmp_path, other).write(0, [parts()[0]])  # as a worker does, whose run has the folder reserved
    assert (files(tmp_path), read_plan(tmp_path)) == (["plan.json"], PLAN)
    with open_folder(tmp_path, other).begin(0, 1):
        assert read_plan(tmp_path) == other


def test_a_run_that_ends_before_its_first_part_leaves_nothing(tmp_path):
    with pytest.raises(KeyboardInterrupt), open_folder(tmp_path / "emb").begin(0, 1):
        raise KeyboardInterrupt
    assert files(tmp_path) == []
    folder = open_folder(tmp_path)
    folder.write(0, [parts()[0]])
    with pytest.raises(KeyboardInterrupt), folder.begin(0, 1):
        folder.write(1, stop_after(1, KeyboardInterrupt()))
    assert files(tmp_path) == ["part-00000.parquet", "plan.json"]


def test_disk_that_is_full_is_one_sentence_and_leaves_no_half_file(tmp_path, monkeypatch):
    class Full(pq.ParquetWriter):
        def write_table(self, table, row_group_size=None):
            raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(parquet_parts.pq, "ParquetWriter", Full)
    with pytest.raises(RunError, match=r"cannot be written to .*No space left on device"):
        open_folder(tmp_path).write(0, [parts()[0]])
    assert files(tmp_path) == ["plan.json"]


def test_folder_that_may_not_be_written_to(tmp_path, monkeypatch):
    monkeypatch.setattr(sinks.os, "access", lambda path, mode: False)
    with pytest.raises(RunError, match=r"cannot be written to .*permission denied"):
        open_folder(tmp_path).write(0, pytest.fail)


@pytest.mark.parametrize(("dtype", "kind"), [("float32", pa.float32()), ("float16", pa.float16()), ("int8", pa.int8())])
def test_embeddings_are_lists_of_a_fixed_size(tmp_path, dtype, kind):
    write_folder(tmp_path, batches(3, bad={1}), dtype=dtype)
    found = pq.read_schema(tmp_path / "part-00000.parquet")
    assert found.field("embedding").type == pa.list_(pa.field("element", kind, nullable=False), CARD.dim)
    assert ("scale" in found.names) == (dtype == "int8")


def test_a_column_may_not_have_the_name_of_an_own_one(tmp_path):
    for name, dtype in (("embedding", "float32"), ("scale", "int8")):
        plan = Plan(
            "/photos", 1, "ids", "paths", "carried", "files", "model", "CPUExecutionProvider", 2, 4, dtype=dtype
        )
        with pytest.raises(DataError, match=f"column '{name}' occurs twice, or has the name of a column that is added"):
            EmbeddingFolder(tmp_path / "emb", plan, CARD, pa.schema([(name, pa.string())]))
    plan = Plan("/photos", 1, "ids", "paths", "carried", "files", "model", "CPUExecutionProvider", 2, 4)
    EmbeddingFolder(tmp_path / "emb", plan, CARD, pa.schema([("scale", pa.string())]))
    assert not (tmp_path / "emb").exists()
