"""Types of carried columns in text files, against what each text says in exact fractions."""

from __future__ import annotations

import json
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.csv as pacsv
import pytest

from gluon_lifted.errors import DataError
from serve_cli.sources.resolve import open_source
from serve_cli.sources.tables.columns import Columns

if TYPE_CHECKING:
    from pathlib import Path

INT, FLOAT, BOOL, TEXT = pa.int64(), pa.float64(), pa.bool_(), pa.string()
NUMBERS = [
    (["3", "-7", "0"], INT),
    (["3", "", "7"], INT),
    ([str((1 << 63) - 1), str(-(1 << 63))], INT),
    (["1.5", "2", "-.25", "1e3", "5."], FLOAT),
    ([repr(0.1 + 0.2), "1.10", "-0"], FLOAT),
    (["true", "False", "TRUE"], BOOL),
]
TEXTS = [
    ["00123", "7"],
    ["-01", "7"],
    ["+49", "7"],
    [" 7", "8"],
    ["1_000"],
    ["1,5"],
    ["0x10"],
    ["٣"],
    [str(1 << 63)],
    ["12345678901234567890", "1.5"],
    ["9007199254740993", "0.5"],  # 2**53 + 1 is no float64
    ["0.1234567890123456789"],
    ["1e400"],
    ["1e-400"],
    ["1e99999999999"],
    ["1." + "0" * 1000],
    ["nan", "1"],
    ["inf"],
    ["true", "1"],
    ["yes", "no"],
    ["", ""],
    ["1", "2", "3", "late"],
]


def csv_source(folder: Path, *columns: list[str], names: str = "abcdefgh") -> Any:
    lines = [",".join(["path", *names[: len(columns)]])]
    for number in range(max(map(len, columns))):
        cells = [column[number] if number < len(column) else "" for column in columns]
        lines.append(",".join(['"' + cell + '"' for cell in [f"{number}.jpg", *cells]]))
    (folder / "m.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return open_source(folder / "m.csv")


def carried(source: Any, name: str) -> list[Any]:
    return [row.extra[name] for row in source]


@pytest.mark.parametrize(("values", "kind"), NUMBERS, ids=str)
def test_values_are_the_numbers_that_a_csv_writes(tmp_path: Path, values: list[str], kind: pa.DataType) -> None:
    source = csv_source(tmp_path, values)
    assert source.extra == pa.schema([("a", kind)])
    for text, value in zip(values, carried(source, "a"), strict=True):
        if text == "":
            assert value is None
        elif kind == BOOL:
            assert value is (text.lower() == "true")
        else:  # exact: the shortest text of a float64 is the text in the file
            assert type(value) is (int if kind == INT else float)
            assert Fraction(str(value)) == Fraction(text.removesuffix("."))
    whole = pacsv.read_csv(tmp_path / "m.csv", convert_options=pacsv.ConvertOptions(strings_can_be_null=True))
    assert whole["a"].to_pylist() == carried(source, "a")


@pytest.mark.parametrize("values", TEXTS, ids=lambda values: values[0][:20])
def test_a_column_stays_text_where_a_value_is_no_number_or_loses_digits(tmp_path: Path, values: list[str]) -> None:
    source = csv_source(tmp_path, values, ["3"] * len(values))
    assert source.extra == pa.schema([("a", TEXT), ("b", INT)])
    assert carried(source, "a") == values
    assert carried(source, "b") == [3] * len(values)


def test_ids_and_labels_are_text(tmp_path: Path) -> None:
    (tmp_path / "m.csv").write_text("path,label,sku,price\na.jpg,3,7,1\n")
    (row,) = open_source(tmp_path / "m.csv", Columns(id="sku"))
    assert (row.id, row.label, row.extra) == ("7", "3", {"price": 1})


def test_the_files_of_a_pattern_have_common_types(tmp_path: Path) -> None:
    for name, price, size in (("a", "1", "1"), ("b", "1.5", "x"), ("c", "", "")):
        (tmp_path / f"{name}.csv").write_text(f"path,price,size\n{name}.jpg,{price},{size}\n")
    source = open_source(tmp_path / "*.csv")
    assert source.extra == pa.schema([("price", FLOAT), ("size", TEXT)])
    assert [row.extra for row in source] == [
        {"price": 1.0, "size": "1"},
        {"price": 1.5, "size": "x"},
        {"price": None, "size": ""},
    ]


def test_a_file_that_changes_while_it_is_read_is_refused(tmp_path: Path) -> None:
    source = csv_source(tmp_path, ["1", "2"])
    csv_source(tmp_path, ["1", "cheap"])
    with pytest.raises(DataError, match=r"m\.csv, row 1: 'a' is 'cheap', expected int64 .*the file is changing"):
        list(source)


JSON_COLUMNS = [
    ([1, None, -7], INT),
    ([1, 2.5, 1e3], FLOAT),
    ([True, False, None], BOOL),
    (["1", "2"], TEXT),  # the file says that they are text
    ([1, "2"], TEXT),
    ([1, True], TEXT),
    ([1 << 63, 1], TEXT),
    ([(1 << 53) + 1, 0.5], TEXT),
    ([[1], {"a": 2}], TEXT),
    ([None, None], TEXT),
]


@pytest.mark.parametrize(("values", "kind"), JSON_COLUMNS, ids=str)
def test_json_lines_have_the_types_of_their_values(tmp_path: Path, values: list[Any], kind: pa.DataType) -> None:
    lines = [json.dumps({"path": f"{number}.jpg", "a": value}) for number, value in enumerate(values)]
    (tmp_path / "m.jsonl").write_text("\n".join(lines))
    source = open_source(tmp_path / "m.jsonl")
    assert source.extra == pa.schema([("a", kind)])
    for value, stored in zip(values, carried(source, "a"), strict=True):
        if value is None or kind != TEXT:
            assert stored == value
            assert value is None or pa.array([stored]).type == kind
        else:
            assert stored == (value if isinstance(value, str) else json.dumps(value))
