"""clip-retrieval's layout: what is in it, and that autofaiss takes it, where that is installed."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pyarrow.parquet as pq
import pytest

from gluon_lifted.errors import RunError
from serve_cli.embed.embed_images import embed_images
from serve_cli.embed.embed_options import EmbedOptions, Output
from serve_cli.embeddings.embedding_folder import EmbeddingFolder
from serve_cli.embeddings.npy_format import NpyPartWriter
from serve_cli.embeddings.part_formats import PARQUET
from serve_cli.embeddings.parts import Part
from serve_cli.embeddings.reader import read_embeddings
from serve_cli.embeddings.resume_plan import Plan
from serve_cli.embeddings.vectors import to_stored
from serve_cli.inspection import inspect_path
from serve_cli.model.model_options import ModelOptions
from serve_cli.sources.image_row import regroup
from tests.serve_cli.embedded import batches
from tests.serve_cli.photos import broken_photos
from tests.serve_cli.tiny_model import CARD

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

PLAN = Plan("/photos", 10, "ids", "paths", "carried", "files", "model", "CPUExecutionProvider", 2, 4, format="npy")
BAD = {2, 9}


def write(folder: Path) -> tuple[Part, ...] | None:
    written = EmbeddingFolder(folder, PLAN, CARD)
    for number, part in enumerate(regroup(batches(10, bad=BAD), 4)):
        written.write(number, [part], group_rows=3)
    return written.complete({})


def files(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def test_numbers_and_metadata_have_the_same_rows_and_failures_lie_apart(tmp_path: Path) -> None:
    assert write(tmp_path) == (
        Part("img_emb/img_emb_00000.npy", 4, 1),
        Part("img_emb/img_emb_00001.npy", 4, 0),
        Part("img_emb/img_emb_00002.npy", 2, 1),
    )
    numbers = np.concatenate([np.load(tmp_path / f"img_emb/img_emb_0000{part}.npy") for part in range(3)])
    known = [
        row
        for part in range(3)
        for row in pq.read_table(tmp_path / f"metadata/metadata_0000{part}.parquet").to_pylist()
    ]
    lost = [
        row for part in range(3) for row in pq.read_table(tmp_path / f"failed/failed_0000{part}.parquet").to_pylist()
    ]
    good = [number for number in range(10) if number not in BAD]
    assert numbers.dtype == np.float32
    assert numbers[:, 0].tolist() == good
    assert [row["id"] for row in known] == [f"{number}.jpg" for number in good]
    assert known[0] == {"id": "0.jpg", "image_path": "/photos/0.jpg", "label": "class 0"}
    assert [(row["id"], row["error"]) for row in lost] == [
        (f"{number}.jpg", f"{number}.jpg: broken") for number in sorted(BAD)
    ]
    assert json.loads((tmp_path / "manifest.json").read_text())["format"] == "npy"
    assert inspect_path(tmp_path).about["failed"] == 2


def test_only_complete_parts_are_finished(tmp_path: Path) -> None:
    write(tmp_path)
    for name in ("img_emb/img_emb_00000.npy", "metadata/metadata_00001.parquet"):
        (tmp_path / name).unlink()
    assert set(EmbeddingFolder(tmp_path, PLAN, CARD).finished) == {2}
    path = tmp_path / "img_emb/img_emb_00002.npy"
    path.write_bytes(path.read_bytes()[:-4])
    assert NpyPartWriter(tmp_path, CARD, "float32", None).finished(2) is None


@pytest.mark.parametrize("dtype", ["float16", "int8"])
def test_smaller_numbers(tmp_path: Path, dtype: str) -> None:
    folder = EmbeddingFolder(tmp_path, replace(PLAN, dtype=dtype), CARD)
    (group,) = batches(4, bad={2})
    folder.write(0, [group])
    stored, scale = to_stored(group.embedding[[0, 1, 3]], dtype)
    found = np.load(tmp_path / "img_emb/img_emb_00000.npy")
    assert found.dtype == stored.dtype
    np.testing.assert_array_equal(found, stored)
    known = pq.read_table(tmp_path / "metadata/metadata_00000.parquet")
    if scale is not None:
        np.testing.assert_array_equal(known["scale"], scale)
    assert ("scale" in known.column_names) == (dtype == "int8")
    assert NpyPartWriter(tmp_path, CARD, dtype, None).finished(0) == Part("img_emb/img_emb_00000.npy", 4, 1)
    assert NpyPartWriter(tmp_path, CARD, "float32", None).finished(0) is None


def test_another_format_is_refused_and_overwriting_leaves_nothing_of_it(tmp_path: Path) -> None:
    write(tmp_path)
    plan = replace(PLAN, format="parquet")
    with pytest.raises(RunError, match="the format of part files has changed"):
        EmbeddingFolder(tmp_path, plan, CARD)
    folder = EmbeddingFolder(tmp_path, plan, CARD, overwrite=True)
    folder.write(0, [next(regroup(batches(10, bad=BAD), 4))])
    assert files(tmp_path) == ["part-00000.parquet", "plan.json"]


@pytest.mark.parametrize("dtype", ["float32", "float16", "int8"])
def test_read_as_parquet_is_but_for_the_order_and_labels_of_failures(tmp_path: Path, dtype: str) -> None:
    for folder, layout in ((tmp_path / "npy", "npy"), (tmp_path / "parquet", "parquet")):
        written = EmbeddingFolder(folder, replace(PLAN, dtype=dtype, format=layout), CARD)
        for number, part in enumerate(regroup(batches(10, bad=BAD), 4)):
            written.write(number, [part], group_rows=3)
        written.complete({})
    found, expected = read_embeddings(tmp_path / "npy"), read_embeddings(tmp_path / "parquet")
    order = [0, 1, 3, 2, 4, 5, 6, 7, 8, 9]  # within a part, failures come last
    assert found.ids == tuple(expected.ids[row] for row in order)
    assert found.paths == tuple(expected.paths[row] for row in order)
    assert found.errors == tuple(expected.errors[row] for row in order)
    assert found.label_names == tuple(None if row in BAD else expected.label_names[row] for row in order)
    np.testing.assert_array_equal(found.embedding, expected.embedding[order])
    assert found.card == expected.card


@pytest.mark.parametrize(
    ("file", "spoil", "message"),
    [
        ("img_emb/img_emb_00001.npy", lambda path: path.unlink(), "img_emb_00001.npy: cannot be read"),
        ("metadata/metadata_00001.parquet", lambda path: path.write_bytes(b"x"), "metadata_00001.parquet: cannot"),
        ("failed/failed_00001.parquet", lambda path: path.unlink(), "failed_00001.parquet: cannot be read"),
        (
            "img_emb/img_emb_00001.npy",
            lambda path: np.save(path, np.zeros((3, CARD.dim), np.float32)),
            r"holds \(3, 8\) of float32, expected \(4, 8\) of float32",
        ),
        (
            "img_emb/img_emb_00001.npy",
            lambda path: np.save(path, np.array([{}] * 4), allow_pickle=True),
            "img_emb_00001.npy: cannot be read",
        ),
        (
            "failed/failed_00001.parquet",
            lambda path: shutil.copy(path.with_name("failed_00000.parquet"), path),
            "img_emb_00001.npy: has 5 rows, with failed ones, but manifest.json says 4",
        ),
    ],
)
def test_a_damaged_folder(tmp_path: Path, file: str, spoil: Callable[[Path], object], message: str) -> None:
    write(tmp_path)
    spoil(tmp_path / file)
    with pytest.raises(RunError, match=message):
        read_embeddings(tmp_path)


def test_stopped_part_leaves_nothing(tmp_path: Path) -> None:
    def stopping():
        yield next(batches(3))
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        EmbeddingFolder(tmp_path, PLAN, CARD).write(0, stopping(), group_rows=2)
    assert files(tmp_path) == ["plan.json"]


@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_the_same_numbers_as_in_parquet_and_autofaiss_takes_them(
    model: Path, album: Path, tmp_path: Path, dtype: str
) -> None:
    broken_photos(album / "zebra")
    options = EmbedOptions(
        model=model,
        source=album,
        out=tmp_path / "npy",
        model_options=ModelOptions(batch_size=3),
        output=Output(rows_per_file=5, format="npy", dtype=dtype),
    )
    report = embed_images(options)
    embed_images(replace(options, out=tmp_path / "parquet", output=Output(rows_per_file=5, dtype=dtype)))
    expected = read_embeddings(tmp_path / "parquet")
    good = [error is None for error in expected.errors]
    paths = sorted((tmp_path / "npy" / "img_emb").iterdir())
    found = np.concatenate([np.load(path) for path in paths])
    np.testing.assert_array_equal(found, expected.embedding[good])
    assert report.failed == good.count(False)
    assert not PARQUET.files_in(tmp_path / "npy")
    autofaiss = pytest.importorskip("autofaiss", reason="needs autofaiss, in an environment of its own")
    index, _ = autofaiss.build_index(str(tmp_path / "npy" / "img_emb"), save_on_disk=False, metric_type="l2")
    _, nearest = index.search(found, 1)
    assert nearest[:, 0].tolist() == list(range(len(found)))
