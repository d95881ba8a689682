"""Runs that are stopped and gone on with, and runs that share a folder."""

from __future__ import annotations

import os
import subprocess
import sys
import tarfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from gluon_lifted.errors import ConfigError, DataError, RunError
from serve_cli.embed import decoding, embed_run, part_worker
from serve_cli.embed.embed_images import embed_images
from serve_cli.embed.embed_options import ArrayTask, EmbedOptions, Output
from serve_cli.embeddings.part_formats import part_files
from serve_cli.embeddings.reader import read_embeddings, read_manifest, read_table
from serve_cli.embeddings.resume_plan import Survey, survey
from serve_cli.model.model_options import ModelOptions
from serve_cli.sources.image_row import ImageRow
from serve_cli.sources.resolve import open_source
from serve_cli.sources.source import Source
from serve_cli.sources.tables.columns import Columns
from tests.serve_cli.photos import broken_photos, photo
from tests.serve_cli.tiny_model import (
    CARD,
    Oddity,
    weight,
    write_model,
)

pytestmark = pytest.mark.slow

KILLS, IMAGES = 20, 60


@pytest.fixture
def many(tmp_path: Path) -> Path:
    for seed in range(IMAGES - 5):
        photo(tmp_path / "many" / f"class{seed % 4}" / f"{seed}.jpg", seed=seed, width=400, height=300)
    broken_photos(tmp_path / "many" / "class2")
    return tmp_path / "many"


def columns(folder: Path) -> list[dict[str, object]]:
    return [row for path in part_files(folder) for row in read_table(path).to_pylist()]


def contents(folder: Path) -> list[bytes]:
    return [path.read_bytes() for path in part_files(folder)]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="runs are forked")
def test_killed_at_random_steps_it_ends_with_the_same_rows(model: Path, many: Path, tmp_path: Path) -> None:
    arguments = ["embed", str(model), str(many), "--batch-size", "2", "--rows-per-file", "4", "--out"]
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[3])}
    killed = tmp_path / "killed"
    killer = Path(__file__).parents[1] / "kill_embed.py"
    command = [sys.executable, killer, str(KILLS), killed, *arguments, killed]
    run = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    parts = [int(line) for line in run.stdout.split()]
    assert len(parts) == KILLS
    assert len(set(parts)) > 4  # it was stopped at different stages
    whole = EmbedOptions(
        model=model,
        source=many,
        out=tmp_path / "whole",
        model_options=ModelOptions(batch_size=2),
        output=Output(rows_per_file=4),
    )
    report = embed_images(whole)
    last = embed_images(replace(whole, out=killed))
    assert last.failed == report.failed == 5
    assert columns(killed) == columns(tmp_path / "whole")
    assert len(read_embeddings(killed).ids) == IMAGES
    assert not list(killed.glob(".*"))


def test_only_missing_parts_are_computed(
    model: Path, many: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = EmbedOptions(
        model=model,
        source=many,
        out=tmp_path / "emb",
        model_options=ModelOptions(batch_size=2),
        output=Output(rows_per_file=20),
    )
    whole = embed_images(options)
    before = columns(tmp_path / "emb")
    assert (whole.rows, whole.resumed, whole.parts, whole.parts_missing) == (IMAGES, 0, 3, 0)
    (tmp_path / "emb" / "part-00001.parquet").unlink()
    seen: list[str] = []
    real = part_worker.embed_rows
    monkeypatch.setattr(
        part_worker, "embed_rows", lambda e, rows, *rest: real(e, [seen.append(row.id) or row for row in rows], *rest)
    )
    again = embed_images(options)
    assert seen == [str(row["id"]) for row in before[20:40]]
    assert (again.rows, again.resumed, again.failed) == (IMAGES, 40, whole.failed)
    assert columns(tmp_path / "emb") == before


def test_shards_share_a_folder(model: Path, many: Path, tmp_path: Path) -> None:
    alone = EmbedOptions(
        model=model,
        source=many,
        out=tmp_path / "alone",
        model_options=ModelOptions(batch_size=3),
        output=Output(rows_per_file=7),
    )
    embed_images(alone)
    reports = [embed_images(replace(alone, out=tmp_path / "shared", task=ArrayTask(index, 3))) for index in (2, 0, 1)]
    assert [report.parts_missing for report in reports] == [6, 3, 0]
    assert sum(report.rows for report in reports) == IMAGES
    assert columns(tmp_path / "shared") == columns(tmp_path / "alone")
    found, expected = read_embeddings(tmp_path / "shared"), read_embeddings(tmp_path / "alone")
    np.testing.assert_array_equal(found.embedding, expected.embedding)


def test_parts_in_any_order_are_the_same(model: Path, many: Path, tmp_path: Path) -> None:
    """Of a folder, which is gone through, and of a list, which is read from anywhere."""
    names = sorted(path.relative_to(many).as_posix() for path in many.rglob("*.jpg"))
    (many / "list.txt").write_text("\n".join(names))
    for source in (many, many / "list.txt"):
        options = EmbedOptions(
            model=model,
            source=source,
            out=tmp_path / "emb",
            model_options=ModelOptions(batch_size=2),
            output=Output(rows_per_file=9),
        )
        embed_images(replace(options, overwrite=True))
        before = columns(tmp_path / "emb")
        run = embed_run.open_run(options)
        worker = part_worker.PartWorker(run)
        for number in (3, 1, 2, 6, 0, 5):
            worker.write(number)
        assert columns(tmp_path / "emb") == before


def test_changed_model_or_images_are_refused(model: Path, many: Path, tmp_path: Path) -> None:
    options = EmbedOptions(model=model, source=many, out=tmp_path / "emb", output=Output(rows_per_file=20))
    embed_images(options)
    before = columns(tmp_path / "emb")
    (many / "class0" / "0.jpg").rename(many / "class0" / "zero.jpg")
    with pytest.raises(RunError, match="images or labels have changed"):
        embed_images(options)
    (many / "class0" / "zero.jpg").rename(many / "class0" / "0.jpg")
    write_model(model, replace(CARD, preprocessing=replace(CARD.preprocessing, resize=18)))
    with pytest.raises(RunError, match="the model has changed"):
        embed_images(options)
    assert columns(tmp_path / "emb") == before


def far_times(count: int) -> pa.Array:
    """Times that Python has no objects for."""
    return pa.array([2**62 + number for number in range(count)], pa.int64()).cast(pa.timestamp("ms"))


@pytest.fixture
def catalog(many: Path, tmp_path: Path) -> Path:
    """A manifest with an id column, two columns of paths and two that are carried along."""
    names = sorted(path.relative_to(tmp_path).as_posix() for path in many.rglob("*.jpg"))
    table = pa.table(
        {
            "sku": [f"sku{number}" for number in range(len(names))],
            "front": names,
            "back": names[::-1],
            "color": ["a"] * len(names),
            "kind": ["b"] * len(names),
            "price": pa.array(range(len(names)), pa.int32()),
            "when": far_times(len(names)),
        }
    )
    pq.write_table(table, tmp_path / "catalog.parquet")
    return tmp_path / "catalog.parquet"


def scalar(value: object, kind: pa.DataType) -> pa.Array:
    return pa.array([value], pa.int64()).cast(kind) if pa.types.is_timestamp(kind) else pa.array([value], kind)


def changed(table: pa.Table, name: str, row: int, value: object) -> pa.Table:
    column = table[name].combine_chunks()
    values = pa.concat_arrays([column[:row], scalar(value, column.type), column[row + 1 :]])
    return table.set_column(table.column_names.index(name), name, values)


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("sku", "sku", "images or labels have changed"),
        ("color", None, "images or labels have changed"),
        ("color", "b", "images or labels have changed"),
        ("front", "many/class0/0.jpg", "paths of images have changed"),
        ("price", -1, "carried columns have changed"),
        ("price", None, "carried columns have changed"),
        ("when", 2**61, "carried columns have changed"),
    ],
)
def test_an_edited_manifest_is_refused(
    model: Path, catalog: Path, tmp_path: Path, name: str, value: object, message: str
) -> None:
    options = EmbedOptions(
        model=model, source=catalog, out=tmp_path / "emb", columns=Columns(id="sku", path="front", label="color")
    )
    embed_images(options)
    before = contents(tmp_path / "emb")
    pq.write_table(changed(pq.read_table(catalog), name, 33, value), catalog)
    with pytest.raises(RunError, match=message):
        embed_images(options)
    catalog_rows = pq.read_metadata(catalog).num_rows
    pq.write_table(pq.read_table(catalog).append_column("new", pa.nulls(catalog_rows, pa.int8())), catalog)
    with pytest.raises(RunError, match="other"):
        embed_images(options)
    assert contents(tmp_path / "emb") == before


@pytest.mark.parametrize("which", [{"path": "back"}, {"label": "kind"}, {"id": "back"}])
def test_a_manifest_read_by_other_columns_is_refused(
    model: Path, catalog: Path, tmp_path: Path, which: dict[str, str]
) -> None:
    options = EmbedOptions(
        model=model, source=catalog, out=tmp_path / "emb", columns=Columns(id="sku", path="front", label="color")
    )
    embed_images(options)
    with pytest.raises(RunError, match="the names of the table's columns have changed"):
        embed_images(replace(options, columns=replace(options.columns, **which)))


def test_other_images_inside_a_manifest_are_refused(model: Path, many: Path, tmp_path: Path) -> None:
    photos = [path.read_bytes() for path in sorted((many / "class0").iterdir())]
    manifest = tmp_path / "images.parquet"
    ids = [str(number) for number in range(len(photos))]
    pq.write_table(pa.table({"id": ids, "bytes": photos, "other": photos[::-1]}), manifest)
    options = EmbedOptions(model=model, source=manifest, out=tmp_path / "emb")
    embed_images(options)
    with pytest.raises(RunError, match="names of the table's columns have changed"):
        embed_images(replace(options, columns=Columns(bytes="other")))
    pq.write_table(pa.table({"id": ids, "bytes": photos[1:] + photos[:1], "other": photos[::-1]}), manifest)
    os.utime(manifest, ns=(1, 1))
    with pytest.raises(RunError, match="sizes or modification times of image files have changed"):
        embed_images(options)


def test_swapped_external_weights_are_refused(many: Path, tmp_path: Path) -> None:
    model = write_model(tmp_path / "m.onnx", odd=Oddity(weights_file="w.bin"))
    options = EmbedOptions(model=model, source=many, out=tmp_path / "emb")
    embed_images(options)
    (tmp_path / "w.bin").write_bytes((2 * weight(CARD)).tobytes())
    with pytest.raises(RunError, match="the model has changed"):
        embed_images(options)


def test_ids_and_labels_cannot_be_taken_for_one_another() -> None:
    def hashed(*rows: tuple[str, str | None]) -> str:
        return survey(Source(Path(), lambda: iter([ImageRow(name, "x", label) for name, label in rows]))).ids_sha256

    different = [
        [("a", None)],
        [("a", "None")],
        [("a", "b\nc\x00d")],
        [("a", "b"), ("c", "d")],
        [("a\x00b", None)],
        [("a", "b\n")],
    ]
    assert len({hashed(*rows) for rows in different}) == len(different)


@pytest.mark.parametrize("archive", [False, True])
def test_an_image_replaced_under_its_name_is_noticed(model: Path, many: Path, tmp_path: Path, archive: bool) -> None:
    def source() -> Path:
        if not archive:
            return many
        with tarfile.open(tmp_path / "shard.tar", "w") as tar:
            tar.add(many / "class0", "class0")
        return tmp_path / "shard.tar"

    options = EmbedOptions(model=model, source=source(), out=tmp_path / "emb", output=Output(rows_per_file=20))
    embed_images(options)
    before = columns(tmp_path / "emb")
    photo(many / "class0" / "0.jpg", seed=77, width=300, height=300)
    os.utime(source(), ns=(1, 1))
    with pytest.raises(
        RunError, match=r"sizes or modification times of image files have changed\. If their contents are the same"
    ):
        embed_images(options)
    assert columns(tmp_path / "emb") == before
    part = next(iter(part_files(tmp_path / "emb")))
    part.unlink()
    report = embed_images(replace(options, ignore_changed_files=True))
    assert report.resumed == max(report.rows - 20, 0)
    assert embed_images(options).resumed == report.rows  # the change is known now
    assert [row["id"] for row in columns(tmp_path / "emb")] == [row["id"] for row in before]


def test_options_that_do_not_fit_together(model: Path, many: Path, tmp_path: Path) -> None:
    options = EmbedOptions(model=model, source=many, out=tmp_path / "emb")
    for make, message in [
        (lambda: Output(rows_per_file=0), "the number of rows per file is 0"),
        (lambda: Output(format="csv"), "format 'csv' is unknown; use parquet or npy"),
        (lambda: Output(dtype="float64"), "storage type 'float64' is unknown; use float32, float16, int8"),
        (lambda: ArrayTask(2, 2), "task 2 of 2 does not exist; --task-index counts from 0 to 1"),
        (lambda: replace(options, task=ArrayTask(0, 2), overwrite=True), "what other tasks have written"),
        (lambda: replace(options, retry_failed=True, overwrite=True), "exclude each other"),
        (lambda: replace(options, out=Path("s3:/shop/emb")), "expected a local folder"),
        (lambda: replace(options, out=many / "." / "class0" / ".."), "give a separate folder"),
        (lambda: replace(options, image_timeout=0), "the image timeout is 0 s; give more than 0 and at most 86,400"),
        (lambda: replace(options, image_timeout=float("nan")), "the image timeout is nan s"),
        (lambda: replace(options, pixel_limit=0), "the pixel limit is 0; give 1 to 178,956,970"),
    ]:
        with pytest.raises(ConfigError, match=message):
            make()


def test_images_that_vanish_after_the_survey(
    model: Path, many: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = embed_run.survey
    found = survey(open_source(many))
    assert found.rows == IMAGES

    def surveyed(source: Source) -> Survey:
        result = real(source)
        (many / "class3" / "3.jpg").unlink()
        return result

    monkeypatch.setattr(embed_run, "survey", surveyed)
    options = EmbedOptions(model=model, source=many, out=tmp_path / "emb", output=Output(rows_per_file=40))
    with pytest.raises(RunError, match="has fewer images than when the run began; start the run again"):
        embed_images(options)
    assert [path.name for path in part_files(tmp_path / "emb")] == ["part-00000.parquet"]
    assert survey(open_source(many)) != found


@pytest.mark.parametrize("bad_first", [False, True])
def test_a_source_that_vanishes_ends_the_run(
    model: Path, many: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, bad_first: bool
) -> None:
    """Not one failed image after the other: that would be taken for finished."""
    if bad_first:
        (many / "class0" / "0.jpg").write_bytes(b"not an image")  # which is no reason to stop
    real, seen = decoding.read_image_bytes, list[Path]()

    def reading(path: Path, **how: int) -> bytes:
        seen.append(path)
        if len(seen) == 30:
            many.rename(tmp_path / "unmounted")
        return real(path, **how)

    monkeypatch.setattr(decoding, "read_image_bytes", reading)
    options = EmbedOptions(
        model=model,
        source=many,
        out=tmp_path / "emb",
        model_options=ModelOptions(batch_size=2),
        output=Output(rows_per_file=20),
    )
    with pytest.raises(DataError, match=r"many: is gone or changing: class\d.*Run the same command once"):
        embed_images(options)
    assert [path.name for path in part_files(tmp_path / "emb")] == ["part-00000.parquet"]
    (tmp_path / "unmounted").rename(many)
    report = embed_images(options)
    assert (report.rows, report.resumed, report.failed) == (IMAGES, 20, 5 + bad_first)


def test_failed_images_are_tried_again_when_asked_for(model: Path, many: Path, tmp_path: Path) -> None:
    options = EmbedOptions(
        model=model,
        source=many,
        out=tmp_path / "emb",
        model_options=ModelOptions(batch_size=2),
        output=Output(rows_per_file=20),
    )
    whole = embed_images(options)
    photo(many / "class2" / "empty.jpg", seed=99)  # whole now
    with pytest.raises(RunError, match=r"sizes or modification times .*if failed images .*--retry-failed"):
        embed_images(options)
    failing = sum(part["failed"] > 0 for part in read_manifest(tmp_path / "emb")["parts"])
    assert failing < 3
    retried = embed_images(replace(options, retry_failed=True))
    assert (retried.resumed, retried.failed) == (IMAGES - 20 * failing, whole.failed - 1)
    assert read_manifest(tmp_path / "emb")["failed"] == whole.failed - 1
    assert embed_images(options).resumed == IMAGES
