"""Arrow batches in and out, by themselves and through Spark."""

from __future__ import annotations

import pickle
import shutil
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from gluon_lifted.errors import ConfigError, RunError
from serve_cli import ArrowEmbedder
from serve_cli.embed.embed_images import embed_images
from serve_cli.embed.embed_options import EmbedOptions
from serve_cli.embeddings.reader import read_embeddings
from serve_cli.model.model_options import ModelOptions
from serve_cli.sources.tables.columns import Columns
from tests.serve_cli.photos import broken_photos
from tests.serve_cli.tiny_model import CARD, write_model

CONTENT = Columns(bytes="content")


@pytest.fixture
def photos(album: Path) -> list[Path]:
    broken_photos(album / "zebra")
    (album / "zebra" / "nowhere.jpg").unlink()
    return sorted(path for path in album.rglob("*.*"))


def batches(photos: list[Path], size: int, **more: list[object]) -> list[pa.RecordBatch]:
    table = pa.table(
        {"path": [str(path) for path in photos], "content": [path.read_bytes() for path in photos], **more}
    )
    return table.to_batches(size)


def expected(model: Path, album: Path, out: Path) -> dict[str, list[float] | None]:
    embed_images(EmbedOptions(model=model, source=album, out=out, model_options=ModelOptions(threads=1)))
    found = read_embeddings(out)
    return {
        path: None if error else row.tolist()
        for path, row, error in zip(found.paths, found.embedding, found.errors, strict=True)
    }


@pytest.mark.parametrize("size", [1, 4, 100])
def test_a_row_for_each_row(model: Path, album: Path, photos: list[Path], tmp_path: Path, size: int) -> None:
    embed = pickle.loads(pickle.dumps(ArrowEmbedder(model, CONTENT)))
    found = pa.Table.from_batches(embed(iter(batches(photos, size))), embed.schema)
    assert found["path"].to_pylist() == found["id"].to_pylist() == [str(path) for path in photos]
    rows = expected(model, album, tmp_path / "emb")
    assert dict(zip(found["path"].to_pylist(), found["embedding"].to_pylist(), strict=True)) == rows
    assert [error is not None for error in found["error"].to_pylist()] == [rows[str(path)] is None for path in photos]


def test_paths_ids_labels_and_carried_columns(model: Path, photos: list[Path]) -> None:
    carried = pa.schema([("price", pa.int32())])
    table = pa.table(
        {
            "file": [str(path) for path in photos],
            "sku": [f"A-{number}" for number in range(len(photos))],
            "label": ["x"] * len(photos),
            "price": pa.array(range(len(photos)), pa.int32()),
        }
    )
    embed = ArrowEmbedder(model, Columns(id="sku", path="file"), carried=carried, dtype="int8")
    found = pa.Table.from_batches(embed(table.to_batches(3)), embed.schema)
    assert found["id"].to_pylist() == table["sku"].to_pylist()
    assert found["label"].to_pylist() == table["label"].to_pylist()
    assert found["price"] == table["price"]
    assert found.schema.field("embedding").type.value_type == pa.int8()
    good = np.array([error is None for error in found["error"].to_pylist()])
    assert (np.asarray(found["scale"].is_valid()) == good).all()
    assert 0 < good.sum() < len(good)


def test_a_model_that_was_replaced(model: Path, photos: list[Path]) -> None:
    """Its old sessions are kept in a worker that lives longer than a job."""
    batch = pa.record_batch({"path": [str(photos[0])]})
    before = ArrowEmbedder(model)
    (old,) = before([batch])
    write_model(model, replace(CARD, name="another", preprocessing=replace(CARD.preprocessing, channels="BGR")))
    with pytest.raises(RunError, match="differs from the model that this ArrowEmbedder was created with"):
        list(before([batch]))
    (new,) = ArrowEmbedder(model)([batch])
    assert new["embedding"] != old["embedding"]


def test_batches_without_images(model: Path) -> None:
    embed = ArrowEmbedder(model, CONTENT)
    with pytest.raises(ConfigError, match=r"neither a column 'content' nor 'path'; found x\."):
        list(embed(pa.table({"x": [1]}).to_batches()))
    assert list(embed([])) == []
    (nothing,) = embed(pa.table({"content": [None]}, pa.schema([("content", pa.binary())])).to_batches())
    assert nothing["error"].to_pylist() == ["row 0: has neither a path nor an image."]


def test_rows_without_names_are_numbered(model: Path, photos: list[Path]) -> None:
    table = pa.table({"content": [path.read_bytes() for path in photos]})
    found = [name for batch in ArrowEmbedder(model, CONTENT)(table.to_batches(3)) for name in batch["id"].to_pylist()]
    assert found == [str(number) for number in range(len(photos))]


def test_images_as_hugging_face_has_them(model: Path, photos: list[Path]) -> None:
    kind = pa.struct({"bytes": pa.binary(), "path": pa.string()})
    inside = [{"bytes": path.read_bytes(), "path": path.name} for path in photos]
    beside = [{"bytes": None, "path": str(path)} for path in photos]
    plain = [row.tolist() for row in embedded(model, photos)]
    for images in (inside, beside):
        table = pa.table({"image": pa.array([*images, None], kind)})
        found = pa.Table.from_batches(ArrowEmbedder(model, Columns(bytes="image"))(table.to_batches(4)))
        assert found["id"].to_pylist() == [*(one["path"] for one in images), str(len(photos))]
        assert [row for row in found["embedding"].to_pylist() if row] == plain
        assert found["error"].to_pylist()[-1] == f"row {len(photos)}: has neither a path nor an image."


def embedded(model: Path, photos: list[Path]) -> list[np.ndarray]:
    found = pa.Table.from_batches(ArrowEmbedder(model, CONTENT)(batches(photos, 4)))
    return [np.array(row) for row in found["embedding"].to_pylist() if row]


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({"content": pa.array([[1]], pa.list_(pa.uint8()))}, r"column 'content' is list.*uint8.*; expected images"),
        ({"content": pa.array(["x"])}, "column 'content' is string; expected images \\(binary"),
        ({"content": pa.array([b"x"]), "label": pa.array([1.0])}, "column 'label' is double; expected labels"),
        ({"content": pa.array([b"x"])}, "no column 'price' to carry along"),
        (
            {"content": pa.array([b"x"]), "price": pa.array(["much"])},
            "column 'price' of the rows is string and cannot be cast to int32",
        ),
    ],
)
def test_columns_of_types_that_cannot_be_used(model: Path, table: dict[str, pa.Array], message: str) -> None:
    embed = ArrowEmbedder(model, CONTENT, carried=pa.schema([("price", pa.int32())]))
    with pytest.raises(ConfigError, match=message):
        list(embed(pa.table(table).to_batches()))


def test_carried_columns_are_converted_to_what_was_said(model: Path, photos: list[Path]) -> None:
    carried = pa.schema([("price", pa.int64()), ("times", pa.list_(pa.timestamp("s"), 2))])
    times = pa.array([[2**61, None], None] * len(photos), pa.list_(pa.int64(), 2))[: len(photos)]
    table = pa.table(
        {
            "content": [path.read_bytes() for path in photos],
            "price": pa.array(range(len(photos)), pa.int8()),
            "times": times.view(carried.field("times").type),
        }
    )
    found = pa.Table.from_batches(ArrowEmbedder(model, CONTENT, carried=carried)(table.to_batches(3)))
    assert found["price"].to_pylist() == list(range(len(photos)))
    assert found["times"].equals(table["times"])


@pytest.mark.filterwarnings("ignore")
def test_spark_gives_the_same(
    model: Path, album: Path, photos: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reason = "needs Spark, in an environment of its own (make test-engines), and Java"
    sql = pytest.importorskip("pyspark.sql", reason=reason)
    if shutil.which("java") is None:
        pytest.skip(reason)
    from pyspark.sql.pandas.types import from_arrow_schema

    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[3]))
    monkeypatch.setenv("PYSPARK_PYTHON", sys.executable)
    settings = {"spark.ui.enabled": "false", "spark.sql.warehouse.dir": str(tmp_path / "warehouse")}
    builder = sql.SparkSession.builder.master("local[2]").config(map=settings)
    monkeypatch.setenv("SPARK_LOCAL_IP", "127.0.0.1")
    spark = builder.getOrCreate()
    (album / "zebra" / "empty.jpg").unlink()  # Spark passes over empty files
    try:
        embed = ArrowEmbedder(model, CONTENT)
        images = spark.read.format("binaryFile").option("recursiveFileLookup", "true").load(str(album))
        images = images.select("path", "content").repartition(3)
        images.mapInArrow(embed, from_arrow_schema(embed.schema)).write.parquet(str(tmp_path / "out"))
        found = spark.read.parquet(str(tmp_path / "out")).collect()
    finally:
        spark.stop()
    rows = {row["path"].removeprefix("file:"): None if row["error"] else list(row["embedding"]) for row in found}
    assert len(found) == len(photos) - 1
    assert rows == expected(model, album, tmp_path / "emb")
