"""`Source.rows(start)`: the rows from a number on, without reading what lies before."""

from __future__ import annotations

import csv
import json
from itertools import islice
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given
from hypothesis import strategies as st

from gluon_lifted.datasets import ImageTable
from gluon_lifted.errors import DataError
from serve_cli.sources.resolve import dataset_source, open_source
from serve_cli.sources.tables import parquet_table as parquet
from tests.examples import examples
from tests.serve_cli.sources.test_resolve import touch
from tests.serve_cli.sources.test_tar import write as write_tar

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from serve_cli.sources.image_row import ImageRow
    from serve_cli.sources.source import Source

pytestmark = pytest.mark.slow

NAMES = ["a/0.jpg", "a/1.jpg", "b/0.jpg", "b/1.jpg", "b/2.jpg"]


def seen(row: ImageRow) -> tuple[Any, ...]:
    try:
        content = row.content and row.content()
    except DataError as error:
        content = str(error)
    return row.id, str(row.path), row.label, row.extra, content


def write(path: Path, sizes: list[int], group: int = 3) -> None:
    """A table for each size, of rows that are all different; every third one has no name."""
    number = 0
    for file, size in enumerate(sizes):
        rows = []
        for _ in range(size):
            rows.append({"path": f"{number}.jpg" if number % 3 else None, "label": str(number), "note": f"a\n{number}"})
            number += 1
        one = path.with_name(f"{file:02}{path.suffix}")
        if path.suffix == ".parquet":
            schema = pa.schema({"path": pa.string(), "label": pa.string(), "note": pa.string(), "bytes": pa.binary()})
            table = pa.Table.from_pylist([row | {"bytes": str(row).encode()} for row in rows], schema)
            pq.write_table(table, one, row_group_size=group)
        elif path.suffix == ".csv":
            with one.open("w", newline="") as out:
                writer = csv.DictWriter(out, ["path", "label", "note"])
                writer.writeheader()
                writer.writerows(rows)
        else:
            one.write_text("".join(json.dumps(row) + "\n" for row in rows))


def folder(root: Path) -> Source:
    touch(root, *NAMES)
    return open_source(root)


def pattern(root: Path) -> Source:
    touch(root, *NAMES)
    return open_source(root / "*" / "*.jpg")


def one_image(root: Path) -> Source:
    touch(root, *NAMES)
    return open_source(root / NAMES[0])


def list_of_paths(root: Path) -> Source:
    touch(root, *NAMES)
    (root / "list.txt").write_text("\n\n".join(NAMES))
    return open_source(root / "list.txt")


def data_set(root: Path) -> Source:
    table = ImageTable(tuple(root / name for name in NAMES), np.array([0, 0, 1, 1, 1]), ("a", "b"))
    return dataset_source(table, root)


def shards(root: Path) -> Source:
    for number in range(3):
        images = {f"{image}.jpg": b"%d-%d" % (number, image) for image in range(number + 1)}
        write_tar(root / f"{number}.tar", images | {"0.cls": b"%d" % number})
    return open_source(root)


def store(root: Path) -> Source:
    upath = pytest.importorskip("upath", reason="needs universal-pathlib")
    for name in NAMES:
        upath.UPath(f"memory://late/{name}").fs.pipe(f"/late/{name}", name.encode())
    return open_source("memory://late")


def one_table(kind: str) -> Callable[[Path], Source]:
    def make(root: Path) -> Source:
        write(root / f"x{kind}", [7])
        return open_source(root / f"00{kind}")

    return make


def several_tables(kind: str) -> Callable[[Path], Source]:
    def make(root: Path) -> Source:
        write(root / f"x{kind}", [3, 1, 5])
        return open_source(root / f"*{kind}")

    return make


KINDS = {one.__name__: one for one in (folder, pattern, one_image, list_of_paths, data_set, shards, store)} | {
    f"{make.__name__}{kind}": make(kind)
    for kind in (".csv", ".jsonl", ".parquet")
    for make in (one_table, several_tables)
}


@pytest.mark.parametrize("make", KINDS.values(), ids=KINDS)
def test_any_source_from_any_row_on(
    tmp_path: Path, make: Callable[[Path], Source], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parquet, "READ_ROWS", 1)
    expected = [seen(row) for row in make(tmp_path)]
    assert expected
    again = make(tmp_path)
    for start in (*range(len(expected), -1, -1), len(expected) + 1, 1000):  # what is known of files grows on the way
        fresh = make(tmp_path)
        for source in (fresh, again):
            assert [seen(row) for row in source.rows(start)] == expected[start:]
        assert [seen(row) for row in fresh] == expected
        assert [row.id for row in fresh.names()] == [row[0] for row in expected]
        assert seen(next(again.rows())) == expected[0]


@examples(40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    kind=st.sampled_from([".csv", ".jsonl", ".parquet"]),
    sizes=st.lists(st.integers(0, 9), min_size=1, max_size=4).filter(lambda sizes: sizes[0] > 0),
    group=st.integers(1, 4),
    start=st.integers(0, 40),
    gone_through=st.booleans(),
    batch=st.integers(1, 4),
)
def test_tables_of_any_size_from_any_row_on(
    tmp_path_factory: pytest.TempPathFactory,
    kind: str,
    sizes: list[int],
    group: int,
    start: int,
    gone_through: bool,
    batch: int,
) -> None:
    root = tmp_path_factory.mktemp("tables")
    write(root / f"x{kind}", sizes, group)
    source = open_source(root / f"*{kind}")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(parquet, "READ_ROWS", batch)
        if gone_through:
            assert source.count() == sum(sizes)
        expected = [seen(row) for row in islice(open_source(root / f"*{kind}"), start, None)]
        assert [seen(row) for row in source.rows(start)] == expected
        assert len(expected) == max(0, sum(sizes) - start)


def damage(path: Path, groups: int) -> None:
    """Overwrite the first row groups of a parquet file."""
    with pq.ParquetFile(path) as table:
        last = table.metadata.row_group(groups - 1)
    column = last.column(last.num_columns - 1)
    end = (column.dictionary_page_offset or column.data_page_offset) + column.total_compressed_size
    content = path.read_bytes()
    path.write_bytes(content[:4] + b"\xff" * (end - 4) + content[end:])


def test_row_groups_before_are_not_read(tmp_path: Path) -> None:
    write(tmp_path / "x.parquet", [10], group=4)
    source = open_source(tmp_path / "00.parquet")
    expected = [seen(row) for row in source]
    damage(tmp_path / "00.parquet", 2)
    assert [seen(row) for row in source.rows(8)] == expected[8:]
    assert [seen(row) for row in source.rows(9)] == expected[9:]
    with pytest.raises(DataError, match="not readable as parquet"):
        list(source.rows(7))


def test_files_before_are_not_read(tmp_path: Path) -> None:
    write(tmp_path / "x.parquet", [3, 4, 2, 3])
    source = open_source(tmp_path / "*.parquet")
    damage(tmp_path / "00.parquet", 1)
    damage(tmp_path / "01.parquet", 2)
    assert [row.label for row in source.rows(7)] == ["7", "8", "9", "10", "11"]
    with pytest.raises(DataError, match=r"01\.parquet: not readable"):
        list(source.rows(6))


@pytest.mark.parametrize("kind", [".csv", ".jsonl"])
def test_files_before_are_not_read_again(tmp_path: Path, kind: str) -> None:
    write(tmp_path / f"x{kind}", [3, 4, 2, 3])
    source = open_source(tmp_path / f"*{kind}")
    source.count()
    (tmp_path / f"00{kind}").unlink()
    (tmp_path / f"01{kind}").unlink()
    assert [row.label for row in source.rows(7)] == ["7", "8", "9", "10", "11"]
    with pytest.raises(DataError, match=rf"01\{kind}: cannot be read"):
        list(source.rows(6))


def test_shards_before_are_not_read_again(tmp_path: Path) -> None:
    source = shards(tmp_path)
    expected = [seen(row) for row in source]
    (tmp_path / "0.tar").unlink()
    (tmp_path / "1.tar").unlink()
    assert [seen(row) for row in source.rows(3)] == expected[3:]
    with pytest.raises(DataError, match=r"1\.tar: cannot be read"):
        list(source.rows(2))
