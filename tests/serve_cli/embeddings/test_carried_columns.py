"""Columns that are carried along come out as they went in, whatever their type."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given
from hypothesis import strategies as st

from gluon_lifted.parquet import page_memory as parquet_pages
from serve_cli.embeddings.arrow_table import to_table
from serve_cli.embeddings.embedding_folder import EmbeddingFolder
from serve_cli.embeddings.fixed_lists import restored, without_sizes
from serve_cli.embeddings.part_columns import own_columns, schema
from serve_cli.embeddings.resume_plan import Plan
from serve_cli.sources.image_row import (
    Cell,
    EmbeddedRows,
    ImageRow,
    regroup,
)
from serve_cli.sources.resolve import open_source
from tests.examples import examples
from tests.serve_cli.embeddings.arrow_values import arrays, bits
from tests.serve_cli.tiny_model import CARD

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.slow


def embedded(rows: list[ImageRow], bad: frozenset[int] = frozenset()) -> EmbeddedRows:
    embedding = np.ones((len(rows), CARD.dim), np.float32)
    embedding[list(bad)] = np.nan
    return EmbeddedRows(rows, embedding, ["broken" if row in bad else None for row in range(len(rows))])


def written(folder: Path, table: Path, layout: str, bad: frozenset[int]) -> list[object]:
    """What becomes of a table's further columns."""
    source = open_source(table)
    rows = list(source)
    plan = Plan(
        "/x",
        len(rows),
        "ids",
        "paths",
        "carried",
        "files",
        "model",
        "CPUExecutionProvider",
        2,
        len(rows),
        format=layout,
    )
    EmbeddingFolder(folder, plan, CARD, source.extra).write(0, [embedded(rows, bad)], group_rows=4)
    return column_x(folder / ("part-00000.parquet" if layout == "parquet" else "metadata/metadata_00000.parquet"))


def column_x(path: Path) -> list[object]:
    """Group by group: pyarrow cannot read dictionaries in lists across them, nor null lists of a fixed size."""
    with path.open("rb") as file, pq.ParquetFile(file, metadata=without_sizes(pq.read_metadata(file))) as part:
        groups = [part.read_row_group(group, ["x"])["x"] for group in range(part.num_row_groups)]
        return [value for group in groups for value in all_bits(group)]


def all_bits(column: pa.ChunkedArray | pa.Array) -> list[object]:
    chunks = column.chunks if isinstance(column, pa.ChunkedArray) else [column]
    return [bits(chunk, index) for chunk in chunks for index in range(len(chunk))]


@examples(100, suppress_health_check=list(HealthCheck))
@given(
    column=st.integers(1, 9).flatmap(arrays),
    layout=st.sampled_from(["parquet", "npy"]),
    group=st.integers(1, 5),
    read_rows=st.integers(1, 5),
    bad=st.frozensets(st.integers(0, 8)),
)
def test_values_of_any_type_stay_as_they_are(
    tmp_path_factory: pytest.TempPathFactory,
    column: pa.Array,
    layout: str,
    group: int,
    read_rows: int,
    bad: frozenset[int],
) -> None:
    folder = tmp_path_factory.mktemp("carried")
    bad = frozenset(row for row in bad if row < len(column))
    paths = pa.array([f"{row}.jpg" for row in range(len(column))])
    pq.write_table(pa.table({"path": paths, "x": column}), folder / "m.parquet", row_group_size=group)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(parquet_pages, "READ_ROWS", read_rows)
        found = written(folder / "emb", folder / "m.parquet", layout, bad)
    kept = [row for row in range(len(column)) if layout == "parquet" or row not in bad]
    assert found == [all_bits(column)[row] for row in kept]
    part = folder / "emb" / ("part-00000.parquet" if layout == "parquet" else "metadata/metadata_00000.parquet")
    assert pq.read_schema(part).field("x").type == pq.read_schema(folder / "m.parquet").field("x").type


def odd_columns() -> dict[str, pa.Array]:
    """Of types that parquet has not, for engines that take Arrow."""
    days = pa.array([1, None, 3])
    columns = {
        "runs": pc.run_end_encode(pa.array(["a", "a", "b"])),
        "union": pa.UnionArray.from_sparse(pa.array([0, 1, 0], pa.int8()), [days, pa.array(["x", "y", "z"])]),
        "interval": pa.array([(1, 2, 3), None, (0, -1, 2**62)], pa.month_day_nano_interval()),
        "date64": pa.array([2**55, 1, None], pa.int64()).view(pa.date64()),
        "seconds": pa.array([2**62, None, -(2**62)], pa.int64()).view(pa.timestamp("s", "UTC")),
        "sized": pa.array([[1, None], None, [3, 4]], pa.list_(pa.int8(), 2)),
    }
    if hasattr(pa, "string_view"):
        columns["view"] = pa.array(["a" * 20, None, "b"], pa.string_view())
        columns["list_view"] = pa.array([[1], None, []], pa.list_view(pa.int32()))
    return columns


@pytest.mark.parametrize("name", odd_columns())
def test_types_that_parquet_has_not(name: str) -> None:
    column = odd_columns()[name]
    carried = pa.schema([pa.field("x", column.type)])
    order = [2, 0, 1, 1]
    rows = [ImageRow(str(row), "", extra={"x": Cell(column, row)}) for row in order]
    found = to_table(embedded(rows), schema(own_columns(CARD.dim, "float32"), carried, CARD), "float32")["x"]
    assert found.type == column.type
    pieces = [chunk.slice(row, 1) for chunk in found.chunks for row in range(len(chunk))]
    assert len(pieces) == len(order)
    for piece, row in zip(pieces, order, strict=True):
        assert piece.equals(column.slice(row, 1))


def test_what_rows_carry_ends_a_group_early() -> None:
    notes = pa.array(["x" * 1000] * 8)
    rows = [ImageRow(str(row), "", extra={"note": Cell(notes.slice(row, 1), 0)}) for row in range(8)]
    batches = [embedded([row]) for row in rows]
    groups = [[row.id for row in group.rows] for group in regroup(batches, 5, 3000)]
    assert groups == [["0", "1", "2"], ["3", "4", "5"], ["6", "7"]]
    assert [len(group.rows) for group in regroup(batches, 5)] == [5, 3]


def test_lists_that_have_not_their_size() -> None:
    with pytest.raises(ValueError, match="does not have the 2 elements"):
        restored(pa.array([[1, 2], None, [3]]), pa.list_(pa.int64(), 2))
