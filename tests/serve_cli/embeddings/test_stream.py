"""A stream yields the rows that `read_embeddings` reads, batch by batch."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from gluon_lifted.contract import CARD_KEY
from gluon_lifted.errors import RunError
from serve_cli import read_embeddings
from serve_cli.embeddings import checked_parquet
from serve_cli.embeddings.embedding_folder import EmbeddingFolder
from serve_cli.embeddings.resume_plan import Plan
from serve_cli.embeddings.stream import EmbeddingStream
from serve_cli.sources.image_row import EmbeddedRows, ImageRow, regroup
from tests.serve_cli.embedded import batches
from tests.serve_cli.tiny_model import CARD

if TYPE_CHECKING:
    from pathlib import Path

CARRIED = pa.schema(
    [pa.field("price", pa.float64()), pa.field("brand", pa.string()), pa.field("box", pa.list_(pa.int32(), 2))]
)


def folder_of(path: Path, layout: str = "parquet", dtype: str = "float32", rows: int = 23, bad=frozenset({1, 6, 22})):
    plan = Plan(
        *("/photos", rows, "ids", "paths", "carried", "files", "model", "CPUExecutionProvider", 2, 10),
        format=layout,
        dtype=dtype,
    )
    path.mkdir()
    written = EmbeddingFolder(path, plan, CARD, CARRIED)
    for number, part in enumerate(regroup(map(with_columns, batches(rows, bad=bad)), 10)):
        written.write(number, [part], group_rows=4)
    written.complete({"model": {"path": "/models/m.onnx", "sha256": "ab"}})
    return path


def with_columns(batch: EmbeddedRows) -> EmbeddedRows:
    rows = [
        ImageRow(
            row.id, row.path, row.label, extra={"price": n / 2, "brand": None if n % 5 == 0 else "b" * n, "box": [n, 1]}
        )
        for n, row in enumerate(batch.rows)
    ]
    return EmbeddedRows(rows, batch.embedding, batch.errors)


@pytest.mark.parametrize("layout", ["parquet", "npy"])
@pytest.mark.parametrize("dtype", ["float32", "float16", "int8"])
@pytest.mark.parametrize("size", [1, 7, 100])
def test_reads_what_read_embeddings_reads(tmp_path, layout, dtype, size):
    folder = folder_of(tmp_path / "emb", layout, dtype)
    whole, stream = read_embeddings(folder), EmbeddingStream(folder)
    read = list(stream.batches(size))
    assert [len(batch) for batch in read[:-1]] == [size] * (len(read) - 1)
    table = pa.concat_tables([batch.table for batch in read])
    assert table.schema == stream.schema
    good = whole.only(whole.embedded)
    assert (table["id"].to_pylist(), table["path"].to_pylist()) == (list(good.ids), list(good.paths))
    assert table["label"].to_pylist() == list(good.label_names)
    np.testing.assert_array_equal(np.concatenate([batch.embedding for batch in read]), good.embedding)
    assert (stream.rows, stream.failed) == (20, 3)
    numbers = [int(id_.split(".")[0]) for id_ in good.ids]
    assert table["price"].to_pylist() == [n / 2 for n in numbers]
    assert table["brand"].to_pylist() == [None if n % 5 == 0 else "b" * n for n in numbers]
    assert table["box"].to_pylist() == [[n, 1] for n in numbers]


@pytest.mark.parametrize("layout", ["parquet", "npy"])
@pytest.mark.parametrize("size", [1, 3, 100])
def test_rows_with_nan_or_infinity_are_left_out_and_counted(tmp_path, layout, size):
    folder = tmp_path / "emb"
    plan = Plan(*("/photos", 9, "i", "p", "c", "f", "m", "CPU", 2, 5), format=layout)
    (whole,) = batches(9, bad={1})
    for row, value in ((0, np.nan), (4, np.inf), (8, -np.inf)):
        whole.embedding[row, 1] = value
    folder.mkdir()
    written = EmbeddingFolder(folder, plan, CARD)
    for number, part in enumerate(regroup([whole], 5)):
        written.write(number, [part], group_rows=2)
    written.complete({})
    stream = EmbeddingStream(folder)
    assert (stream.rows, stream.failed, stream.not_finite) == (8, 1, 0)
    for _ in range(2):
        read = list(stream.batches(size))
        assert [len(batch) for batch in read] == [size] * (5 // size) + [5 % size] * (5 % size > 0)
        ids = [id_ for batch in read for id_ in batch.table["id"].to_pylist()]
        assert sorted(ids) == ["2.jpg", "3.jpg", "5.jpg", "6.jpg", "7.jpg"]
        for id_, row in zip(ids, np.concatenate([batch.embedding for batch in read]), strict=True):
            assert row.tolist() == whole.embedding[int(id_[0])].tolist()
        assert (stream.rows, stream.failed, stream.not_finite) == (8, 1, 3)
    next(stream.batches(1))
    assert stream.not_finite == 3


def test_describes_model_and_source(tmp_path):
    stream = EmbeddingStream(folder_of(tmp_path / "emb"))
    assert (stream.name, stream.dtype, stream.card, stream.source) == ("emb", "float32", CARD, "/photos")
    assert (stream.model, stream.model_sha256) == ("/models/m.onnx", "ab")


def test_folder_without_rows(tmp_path):
    stream = EmbeddingStream(folder_of(tmp_path / "emb", rows=0, bad=frozenset()))
    assert list(stream.batches()) == []


def rewritten(part: Path, table: pa.Table, **settings: object) -> None:
    pq.write_table(table.replace_schema_metadata({CARD_KEY: CARD.to_json()}), part, **settings)


def test_other_columns_in_a_later_part_are_refused(tmp_path):
    folder = folder_of(tmp_path / "emb", bad=frozenset())
    part = folder / "part-00001.parquet"
    table = pq.read_table(part, partitioning=None)
    rewritten(part, table.drop_columns(["brand"]), use_dictionary=False, row_group_size=4)
    with pytest.raises(RunError, match=r"part-00001\.parquet: has other carried columns than the first part"):
        list(EmbeddingStream(folder).batches())


def test_carried_text_that_a_dictionary_repeats_is_refused_before_it_is_read(tmp_path, monkeypatch):
    folder = folder_of(tmp_path / "emb", bad=frozenset())
    part = folder / "part-00000.parquet"
    table = pq.read_table(part, partitioning=None)
    brand = table.schema.get_field_index("brand")
    long = pa.array(["x" * 10_000] * len(table), pa.string())
    rewritten(part, table.set_column(brand, table.schema.field(brand), long), use_dictionary=["brand"])
    assert list(EmbeddingStream(folder).batches())
    monkeypatch.setattr(checked_parquet, "MAX_CARRIED", 90_000)
    with pytest.raises(RunError, match=r"part-00000\.parquet: its carried columns need 0\.0 GB of memory in one row"):
        list(EmbeddingStream(folder).batches())


def test_long_text_that_a_dictionary_repeats_is_refused(tmp_path):
    rows = 400
    folder = folder_of(tmp_path / "emb", rows=rows, bad=frozenset())
    manifest = json.loads((folder / "manifest.json").read_text())
    for number in range(1, len(manifest["parts"])):
        (folder / manifest["parts"][number]["file"]).unlink()
    part = folder / "part-00000.parquet"
    table = pa.concat_tables([pq.read_table(part, partitioning=None)] * (rows // 10))
    label = table.schema.get_field_index("label")
    long = pa.array(["x" * 60_000] * rows, pa.string())
    rewritten(part, table.set_column(label, table.schema.field(label), long), use_dictionary=["label"])
    manifest["parts"] = [{"file": part.name, "rows": rows, "failed": 0}]
    (folder / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(RunError, match="'label' has 24,000,000 bytes of text, too much for 400 rows"):
        list(EmbeddingStream(folder).batches())
