from __future__ import annotations

import csv
import json
import os
import re
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from gluon_lifted.errors import ConfigError, DataError, ImageError
from serve_cli.embed.embed_images import embed_images
from serve_cli.embed.embed_options import EmbedOptions
from serve_cli.embeddings.reader import read_embeddings, read_table
from serve_cli.model.model_options import ModelOptions
from serve_cli.sources.resolve import open_source
from serve_cli.sources.tables import text_tables as tables
from serve_cli.sources.tables.columns import Columns
from tests.gluon_lifted.parquet.test_page_claims import nested
from tests.serve_cli.photos import photo

if TYPE_CHECKING:
    from pathlib import Path

    from serve_cli.sources.source import Source

ROWS = [
    {"path": "photos/a.jpg", "label": "cat", "sku": "A-1", "price": "3"},
    {"path": "photos/b.jpg", "label": "", "sku": "B-2", "price": ""},
    {"path": "photos/none.jpg", "label": "dog", "sku": "ü", "price": "7"},
]


def write(path: Path, rows: list[dict[str, Any]]) -> Path:
    if path.suffix == ".csv":
        with path.open("w", newline="", encoding="utf-8-sig") as file:
            writer = csv.DictWriter(file, rows[0])
            writer.writeheader()
            writer.writerows(rows)
    elif path.suffix == ".jsonl":
        path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    else:
        pq.write_table(pa.Table.from_pylist(rows), path)
    return path


@pytest.fixture
def place(tmp_path: Path) -> Path:
    for seed, name in enumerate("ab"):
        photo(tmp_path / "photos" / f"{name}.jpg", seed=seed)
    return tmp_path


@pytest.mark.parametrize("kind", [".csv", ".jsonl", ".parquet"])
def test_rows_of_a_table(place: Path, kind: str) -> None:
    source = open_source(write(place / f"m{kind}", ROWS), Columns(id="sku"))
    found = list(source)
    assert [row.id for row in found] == ["A-1", "B-2", "ü"]
    assert [row.path for row in found] == [place / row["path"] for row in ROWS]
    assert [row.label for row in found] == ["cat", None, "dog"]
    prices = [3, None, 7] if kind == ".csv" else ["3", "", "7"]  # the other kinds say that they are text
    assert [row.extra for row in found] == [{"price": price} for price in prices]
    assert source.extra.names == ["price"]
    assert source.count() == 3
    assert [row.id for row in open_source(place / f"m{kind}")] == [row["path"] for row in ROWS]


@pytest.mark.parametrize("kind", [".csv", ".jsonl", ".parquet"])
def test_every_row_of_a_table_is_embedded_and_carries_its_columns(model: Path, place: Path, kind: str) -> None:
    manifest = write(place / f"m{kind}", ROWS)
    report = embed_images(
        EmbedOptions(
            model=model,
            source=manifest,
            out=place / "emb",
            model_options=ModelOptions(batch_size=2),
            columns=Columns(id="sku"),
        )
    )
    assert (report.rows, report.failed) == (3, 1)
    rows = read_table(place / "emb" / "part-00000.parquet").to_pylist()
    assert [row["price"] for row in rows] == ([3, None, 7] if kind == ".csv" else ["3", "", "7"])
    assert "none.jpg" in rows[2]["error"]
    found = read_embeddings(place / "emb")
    assert found.ids == ("A-1", "B-2", "ü")
    folder = embed_images(
        EmbedOptions(
            model=model, source=place / "photos", out=place / "folder", model_options=ModelOptions(batch_size=2)
        )
    )
    assert folder.failed == 0
    assert read_embeddings(place / "folder").embedding.tolist() == found.embedding[:2].tolist()


@pytest.mark.parametrize("struct", [False, True])
def test_images_in_parquet(model: Path, place: Path, struct: bool) -> None:
    images = [(place / "photos" / f"{name}.jpg").read_bytes() for name in "ab"] + [b"no image", None]
    cells = [{"bytes": one, "path": f"{n}.jpg"} if struct else one for n, one in enumerate(images)]
    table = pa.Table.from_pylist([{"image": one, "number": n, "tags": ["x"] * n} for n, one in enumerate(cells)])
    pq.write_table(table, place / "m.parquet")
    columns = Columns(bytes="image")
    embed_images(
        EmbedOptions(
            model=model,
            source=place / "m.parquet",
            out=place / "emb",
            model_options=ModelOptions(batch_size=2),
            columns=columns,
        )
    )
    found = read_embeddings(place / "emb")
    assert found.ids == (("0.jpg", "1.jpg", "2.jpg", "3.jpg") if struct else ("0", "1", "2", "3"))
    assert [error is None for error in found.errors] == [True, True, False, False]
    assert f"{found.ids[2]}: cannot be read (not an image" in str(found.errors[2])
    rows = read_table(place / "emb" / "part-00000.parquet")
    assert rows["tags"].to_pylist() == [["x"] * n for n in range(4)]
    assert rows.schema.field("number").type == pa.int64()
    embed_images(
        EmbedOptions(
            model=model, source=place / "photos", out=place / "folder", model_options=ModelOptions(batch_size=2)
        )
    )
    assert read_embeddings(place / "folder").embedding.tolist() == found.embedding[:2].tolist()


def test_naming_the_rows_reads_no_images(place: Path) -> None:
    write(place / "m.parquet", [{"bytes": b"x" * 100, "id": str(number)} for number in range(5)])
    source = open_source(place / "m.parquet")
    assert [row.id for row in source.names()] == [row.id for row in source] == list("01234")
    assert [row.content() for row in source if row.content] == [b"x" * 100] * 5
    with pytest.raises(ImageError, match="neither a path nor an image"):
        [row.content() for row in source.names() if row.content]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("m.csv", "a,b\n1,2\n", r"has neither a column 'bytes' nor 'path'; found a, b\."),
        ("m.csv", "path,path\na,b\n", "more than once"),
        ("m.csv", "path\n", "has no rows"),
        ("m.csv", "x" * 200_000, "not readable as CSV"),
        ("m.csv", "", "neither a column"),
        ("m.csv", "path,b\na\n", "line 2: has 1 cells, but the header has 2"),
        ("m.csv", "path,b\na,b,c\n", "line 2: has 3 cells, but the header has 2"),
        ("m.csv", 'path,b\n"a,b\n', "not readable as CSV"),
        ("m.jsonl", "", "neither a column"),
        ("m.jsonl", '{"path": "a"}\n[]\n', "line 2: not readable as JSON"),
        ("m.jsonl", '{"path": "a"}\n{', "line 2: not readable as JSON"),
        ("m.jsonl", "[" * 100_000, "line 1: not readable as JSON"),
        ("m.parquet", "PAR1", "not readable as parquet"),
    ],
)
def test_table_that_cannot_be_read(tmp_path: Path, name: str, content: str, message: str) -> None:
    (tmp_path / name).write_text(content)
    with pytest.raises(DataError, match=message):
        list(open_source(tmp_path / name))


def test_row_without_an_image_fails_alone(place: Path) -> None:
    write(place / "m.jsonl", [{"path": "photos/a.jpg"}, {"path": None}, {}])
    source: Source = open_source(place / "m.jsonl")
    first, second, third = source
    assert first.content is None
    for number, row in ((1, second), (2, third)):
        assert row.content is not None
        with pytest.raises(ImageError, match=f"row {number}: has neither a path nor an image"):
            row.content()
    assert (second.id, third.id) == ("1", "2")


def test_lines_of_json_may_be_empty_and_lack_columns_but_not_add_any(place: Path) -> None:
    path = place / "m.jsonl"
    path.write_text('\n{"path": "a.jpg", "price": 1}\n\n  \n{"path": "b.jpg"}\n')
    source = open_source(path)
    assert [(row.id, row.extra) for row in source] == [("a.jpg", {"price": 1}), ("b.jpg", {"price": None})]
    assert [row.id for row in source.rows(1)] == ["b.jpg"]
    with path.open("a") as file:
        file.write('{"path": "c.jpg", "color": "red"}\n')
    for start in (0, 1, 2):
        with pytest.raises(DataError, match=r"m\.jsonl, line 6: has 'color', which the first line lacks"):
            list(open_source(path).rows(start))


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        (Columns(id="sku"), r"has no column 'sku'; its columns are image, path"),
        (Columns(path="file"), "has no column 'file'"),
        (Columns(), "column 'path' is int64; expected paths \\(text"),
    ],
)
def test_columns_that_are_not_there_or_no_paths(tmp_path: Path, columns: Columns, message: str) -> None:
    pq.write_table(pa.table({"image": [b""], "path": [1]}), tmp_path / "m.parquet")
    with pytest.raises(DataError, match=message):
        open_source(tmp_path / "m.parquet", columns)
    pq.write_table(pa.table({"image": [b""]}), tmp_path / "m.parquet")
    with pytest.raises(DataError, match="If 'image' holds the images, give --bytes-column image"):
        open_source(tmp_path / "m.parquet")


def test_text_that_no_file_can_hold_stays_written_out(tmp_path: Path) -> None:
    (tmp_path / "m.jsonl").write_text(r'{"path": "\ud800.jpg", "label": "\udc80", "note": "\ud800"}')
    (row,) = open_source(tmp_path / "m.jsonl")
    assert (row.id, row.label, row.extra) == (r"\ud800.jpg", r"\udc80", {"note": r"\ud800"})
    broken = pa.StringArray.from_buffers(1, pa.py_buffer(b"\0\0\0\0\1\0\0\0"), pa.py_buffer(b"\xff"))
    pq.write_table(pa.table({"path": broken}), tmp_path / "m.parquet")
    (row,) = open_source(tmp_path / "m.parquet")  # a file name need not be UTF-8
    assert (row.id, row.path) == (r"\xff", tmp_path / os.fsdecode(b"\xff"))


def test_columns_are_four_different_ones() -> None:
    with pytest.raises(ConfigError, match="four different names"):
        Columns(id="path")


JPEG = b"\xff\xd8 an image"


def column(kind: pa.DataType, values: list[Any]) -> pa.Array:
    if pa.types.is_dictionary(kind):
        return pa.array(values, kind.value_type).dictionary_encode()
    return pa.array(values, kind)


@pytest.mark.parametrize(
    "kind",
    [
        *(pa.binary(), pa.large_binary(), pa.binary(len(JPEG)), pa.dictionary(pa.int32(), pa.binary())),
        *(pa.struct({"bytes": pa.binary(), "path": pa.string()}), pa.struct({"bytes": pa.large_binary()})),
        *([pa.binary_view()] if hasattr(pa, "binary_view") else []),
    ],
    ids=str,
)
def test_images_of_every_binary_type(tmp_path: Path, kind: pa.DataType) -> None:
    value = {"bytes": JPEG, "path": "a.jpg"} if pa.types.is_struct(kind) else JPEG
    value = {field.name: value[field.name] for field in kind} if pa.types.is_struct(kind) else value
    pq.write_table(pa.table({"bytes": column(kind, [value, None])}), tmp_path / "m.parquet")
    first, second = open_source(tmp_path / "m.parquet")
    assert first.content is not None
    assert first.content() == JPEG
    assert first.id == ("a.jpg" if "path" in str(kind) else "0")
    assert second.content is not None
    with pytest.raises(ImageError, match="row 1: has neither a path nor an image"):
        second.content()


@pytest.mark.parametrize(
    ("name", "values", "kind", "expected"),
    [
        ("bytes", [[255, 216]], pa.list_(pa.uint8()), "images (binary, or a struct with a binary field 'bytes')"),
        ("bytes", ["/9j/4AAQ"], pa.string(), "images (binary"),
        ("bytes", [{"bytes": "x"}], pa.struct({"bytes": pa.string()}), "images (binary"),
        ("path", [{"uri": "a"}], pa.struct({"uri": pa.string()}), "paths (text, or binary"),
        ("label", [True], pa.bool_(), "labels (text or whole numbers"),
        ("label", [3.0], pa.float64(), "labels ("),
        ("label", [["cat"]], pa.list_(pa.string()), "labels ("),
        ("label", [0], pa.timestamp("s"), "labels ("),
        ("id", [b"x"], pa.binary(), "ids (text or whole numbers"),
        ("id", [[1]], pa.list_(pa.int64()), "ids ("),
    ],
)
def test_column_of_a_type_that_cannot_be_used_is_said_once(
    tmp_path: Path, name: str, values: list[Any], kind: pa.DataType, expected: str
) -> None:
    table = pa.table({"bytes": pa.array([b"x"]), name: pa.array(values, kind)})
    pq.write_table(table, tmp_path / "m.parquet")
    with pytest.raises(DataError, match=rf"m\.parquet: column '{name}' is .*; expected {re.escape(expected)}"):
        open_source(tmp_path / "m.parquet")


@pytest.mark.parametrize("kind", [pa.string(), pa.large_string(), pa.dictionary(pa.int8(), pa.string())], ids=str)
def test_text_of_every_type(tmp_path: Path, kind: pa.DataType) -> None:
    names = {"path": ["a.jpg", None], "id": ["A", "B"], "label": ["cat", None]}
    pq.write_table(pa.table({key: column(kind, values) for key, values in names.items()}), tmp_path / "m.parquet")
    first, second = open_source(tmp_path / "m.parquet")
    assert (first.id, first.path, first.label) == ("A", tmp_path / "a.jpg", "cat")
    assert (second.id, second.label) == ("B", None)


def test_paths_in_bytes_numbers_for_names_and_a_count_of_bytes(tmp_path: Path) -> None:
    table = pa.table(
        {"path": [b"\xff.jpg", b"b.jpg"], "id": [7, 8], "label": pa.array([1, 2], pa.uint8()), "bytes": [5, 6]}
    )
    pq.write_table(table, tmp_path / "m.parquet")
    source = open_source(tmp_path / "m.parquet")
    found = [(row.id, row.path, row.label, row.extra) for row in source]
    assert found[0] == ("7", tmp_path / os.fsdecode(b"\xff.jpg"), "1", {"bytes": 5})
    assert source.extra.names == ["bytes"]


@pytest.mark.parametrize("kind", [".csv", ".jsonl", ".txt"])
def test_byte_order_marks(place: Path, kind: str) -> None:
    text = {".csv": "path\nphotos/a.jpg\n", ".jsonl": '{"path": "photos/a.jpg"}\n', ".txt": "photos/a.jpg\n"}[kind]
    for start in ("", "\n"):
        (place / f"m{kind}").write_text(start * (kind != ".csv") + text, encoding="utf-8-sig")
        assert [row.id for row in open_source(place / f"m{kind}")] == ["photos/a.jpg"]
    for encoding in ("utf-16", "utf-16-le", "utf-16-be", "utf-32"):
        (place / f"m{kind}").write_text(text, encoding=encoding)
        with pytest.raises(DataError, match=r"UTF-8|not readable as JSON"):
            list(open_source(place / f"m{kind}"))


@pytest.mark.parametrize("kind", [".csv", ".jsonl", ".txt"])
def test_blank_lines_windows_ends_of_lines_and_separators(place: Path, kind: str) -> None:
    row = {".csv": "photos\\a.jpg,x", ".jsonl": r'{"path": "photos\\a.jpg", "b": "x"}', ".txt": "photos\\a.jpg"}[kind]
    lines = [*(["path,b"] if kind == ".csv" else []), row, "  ", "", row, " \t"]
    (place / f"m{kind}").write_bytes("\r\n".join(lines).encode())
    found = list(open_source(place / f"m{kind}"))
    assert [one.path for one in found] == [place / "photos/a.jpg"] * 2
    (place / "photos\\a.jpg").touch()  # where a name may have it, it has
    assert [one.path for one in open_source(place / f"m{kind}")] == [place / "photos\\a.jpg"] * 2


def test_lines_and_rows_without_an_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tables, "MAX_LINE", 1000)
    for name, content, message in [
        ("m.csv", "path\n" + "x" * 1001, r"line 2: is longer than 1,000"),
        ("m.csv", "path\n" + '"a\n",' * 400, "has a row of more than 1,000 characters; check for an unclosed quote"),
        ("m.jsonl", '{"path": "' + "x" * 1000, "line 1: is longer than 1,000"),
    ]:
        (tmp_path / name).write_text(content)
        with pytest.raises(DataError, match=message):
            list(open_source(tmp_path / name))


def test_column_that_comes_twice(tmp_path: Path) -> None:
    pq.write_table(pa.Table.from_arrays([pa.array(["a"])] * 2, ["path", "path"]), tmp_path / "m.parquet")
    with pytest.raises(DataError, match="has a column more than once"):
        open_source(tmp_path / "m.parquet")


def test_columns_inside_one_another_without_end(place: Path) -> None:
    """pyarrow overflows its stack over such a footer, which ends the process."""
    (place / "m.parquet").write_bytes(nested(20_000))
    with pytest.raises(DataError, match="nested too deeply"):
        open_source(place / "m.parquet")
