import csv

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from gluon_lifted.datasets import manifest
from gluon_lifted.datasets.manifest import load_manifest
from gluon_lifted.errors import DataError
from tests.gluon_lifted.parquet.test_page_claims import nested

COLUMNS = ("path", "label", "split", "x1", "y1", "x2", "y2")
ROWS = [
    ("a/1.png", "cat", "train", 1, 2.5, 3, 4),
    ("a/b c, d.png", "cat", "train", None, None, None, None),
    ("1.png", "dog", "train", 0, 0, 6, 4),
    ("gray.png", "ant", "test", None, None, None, None),
]


@pytest.fixture
def root(tmp_path):
    for name, *_ in ROWS:
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        Image.new("L" if name == "gray.png" else "RGB", (6, 4)).save(path)
    return tmp_path


def write_csv(path, columns, rows, encoding="utf-8"):
    with path.open("w", newline="", encoding=encoding) as file:
        csv.writer(file).writerows([columns, *rows])
    return path


def write_parquet(path, columns, rows, encoding=None):
    pq.write_table(pa.table({name: [row[index] for row in rows] for index, name in enumerate(columns)}), path)
    return path


WRITERS = [pytest.param(write_csv, ".csv", id="csv"), pytest.param(write_parquet, ".parquet", id="parquet")]


def listed(table):
    return [
        (str(path), table.class_names[label], table.box(row))
        for row, (path, label) in enumerate(zip(table.paths, table.labels, strict=True))
    ]


@pytest.mark.parametrize(("write", "suffix"), WRITERS)
def test_both_formats_hold_the_same(root, write, suffix):
    splits = load_manifest(write(root / f"list{suffix.upper()}", COLUMNS, ROWS))
    assert listed(splits.train) == [
        (f"{root}/a/1.png", "cat", (1, 2.5, 3, 4)),
        (f"{root}/a/b c, d.png", "cat", None),
        (f"{root}/1.png", "dog", (0, 0, 6, 4)),
    ]
    assert listed(splits.test) == [(f"{root}/gray.png", "ant", None)]


@pytest.mark.parametrize(("write", "suffix"), WRITERS)
def test_without_a_split_the_first_half_of_the_labels_trains(root, write, suffix):
    path = write(root / f"list{suffix}", ("label", "other", "path"), [(row[1], 7, row[0]) for row in ROWS])
    splits = load_manifest(path)
    assert (splits.train.class_names, splits.test.class_names) == (("ant",), ("cat", "dog"))
    assert splits.train.boxes is None


def test_paths_may_be_absolute_or_above_the_manifest(root):
    (root / "lists").mkdir()
    path = write_csv(root / "lists" / "list.csv", ("path", "label"), [(str(root / "1.png"), "a"), ("../gray.png", "b")])
    splits = load_manifest(path)
    assert splits.train.paths == (root / "1.png",)
    assert splits.test.paths[0].samefile(root / "gray.png")


def test_text_as_spreadsheets_save_it(root):
    path = root / "list.csv"
    path.write_bytes(b"\xef\xbb\xbfpath, label, split\r\n1.png , dog, train\r\n\r\ngray.png, ant, test\r\n")
    splits = load_manifest(path)
    assert (splits.train.class_names, splits.test.class_names) == (("dog",), ("ant",))


def test_numbers_as_labels_and_missing_numbers_as_boxes(root):
    table = pa.table(
        {
            "path": pa.array(["1.png", "gray.png"]).dictionary_encode(),
            "label": [3, 12],
            **{name: [float("nan"), 2.0 if name in ("x2", "y2") else 1.0] for name in ("x1", "y1", "x2", "y2")},
        }
    )
    pq.write_table(table, root / "list.parquet")
    splits = load_manifest(root / "list.parquet")
    assert (splits.train.class_names, splits.test.class_names) == (("12",), ("3",))  # sorted as text
    assert (splits.train.box(0), splits.test.box(0)) == ((1, 1, 2, 2), None)


def test_several_objects_of_one_image_are_several_rows(root):
    rows = [("1.png", "a", 0, 0, 1, 1), ("1.png", "b", 1, 1, 2, 2)]
    path = write_csv(root / "list.csv", ("path", "label", "x1", "y1", "x2", "y2"), rows)
    assert len(load_manifest(path).train) == 1
    with pytest.raises(DataError, match=r"list\.csv, row 3: the same image as in row 1"):
        load_manifest(write_csv(path, ("path", "label", "x1", "y1", "x2", "y2"), [*rows, rows[0]]))


@pytest.mark.parametrize(("write", "suffix"), WRITERS)
@pytest.mark.parametrize(
    ("column", "value", "message"),
    [
        ("path", "", r"row 2: 'path' is None; expected the path"),
        ("path", "none.png", r"none\.png: listed in the annotations, but missing\. 1 of 4 .* Correct the manifest"),
        ("path", "../nul\0", "listed in the annotations, but missing"),
        ("label", " ", r"row 2: 'label' is None; expected text or a whole number"),
        ("label", "ant", "class 'ant' is in both"),
        ("split", "val", r"row 2: 'split' is 'val'; expected 'train' or 'test'"),
        ("split", None, r"row 2: 'split' is None"),
        ("x1", 2, r"row 2: expected a box of four numbers, found \["),
    ],
)
def test_bad_rows_are_named(root, write, suffix, column, value, message):
    rows = [list(row) for row in ROWS]
    rows[1][COLUMNS.index(column)] = value
    with pytest.raises(DataError, match=message):
        load_manifest(write(root / f"list{suffix}", COLUMNS, rows))


@pytest.mark.parametrize(("write", "suffix"), WRITERS)
def test_bad_columns_are_named(root, write, suffix):
    path = root / f"list{suffix}"
    with pytest.raises(DataError, match="has no column 'label'; found 'path, class'"):
        load_manifest(write(path, ("path", "class"), [("1.png", "a")]))
    with pytest.raises(DataError, match="has no column 'y2'"):
        load_manifest(write(path, ("path", "label", "x1", "y1", "x2"), [("1.png", "a", 1, 1, 1)]))
    with pytest.raises(DataError, match="has no test images"):
        load_manifest(write(path, ("path", "label", "split"), [("1.png", "a", "train")]))
    with pytest.raises(DataError, match="only one label"):
        load_manifest(write(path, ("path", "label"), [("1.png", "a"), ("gray.png", "a")]))


def test_values_of_other_kinds(root):
    for column, values in (("path", [1]), ("path", [b"1.png"]), ("label", [1.5]), ("label", [["a"]])):
        table = pa.table({"path": ["1.png"], "label": ["a"]} | {column: values})
        pq.write_table(table, root / "list.parquet")
        with pytest.raises(DataError, match=rf"row 1: '{column}' is"):
            load_manifest(root / "list.parquet")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "has no column 'path'"),
        (b"path,label\n", "has no test images"),
        (b"path,label,path\n1.png,a,1.png\n", "has the column 'path' more than once"),
        (b"path,label\n1.png,a,b\n", "line 2: has more cells than the header"),
        (b"path,label\n1.png\n", "row 1: 'label' is None"),
        (b"path,label\n\xff.png,a\n", "not readable as CSV"),
        (b'path,label\n"1.png,a\n', "not readable as CSV"),
        (b"path,label\n" + b"x" * 200_000 + b",a\n", "not readable as CSV"),
    ],
)
def test_csv_that_is_damaged(root, content, message):
    (root / "list.csv").write_bytes(content)
    with pytest.raises(DataError, match=message):
        load_manifest(root / "list.csv")


def test_parquet_that_is_nested_without_end(root):
    """pyarrow would crash."""
    (root / "list.parquet").write_bytes(nested(20_000))
    with pytest.raises(DataError, match=r"list\.parquet: not readable as parquet \(its columns are nested too deeply"):
        load_manifest(root / "list.parquet")


def test_parquet_that_is_damaged(root):
    path = write_parquet(root / "list.parquet", COLUMNS, ROWS)
    whole = path.read_bytes()
    for content in (b"", b"PAR1", whole[:-9], whole[:-40] + whole[-20:], b"path,label\n"):
        path.write_bytes(content)
        with pytest.raises(DataError, match=r"list\.parquet: not readable as parquet"):
            load_manifest(path)


def test_files_that_are_no_manifest(root):
    with pytest.raises(DataError, match=r"list\.csv: no such file"):
        load_manifest(root / "list.csv")
    for name in ("list.txt", "", "a"):
        with pytest.raises(DataError, match=r"not a manifest; expected a \.csv or \.parquet file"):
            load_manifest(root / name)


@pytest.mark.parametrize(("write", "suffix"), WRITERS)
def test_manifests_beyond_the_limits(root, write, suffix, monkeypatch):
    path = write(root / f"list{suffix}", COLUMNS, ROWS)
    monkeypatch.setattr(manifest, "MAX_ROWS", 3)
    with pytest.raises(DataError, match="row 4: a manifest can have 3 rows"):
        load_manifest(path)
    monkeypatch.setattr(manifest, "MAX_BYTES", 10)
    with pytest.raises(DataError, match="bytes are more than the limit of 10"):
        load_manifest(path)
