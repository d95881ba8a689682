import pytest

from gluon_lifted.datasets import annotations
from gluon_lifted.datasets.annotations import (
    Annotation,
    checked_box,
    four_numbers,
    path_inside,
    read_lines,
    tables,
    whole_number,
)
from gluon_lifted.errors import DataError


def test_lines_are_numbered_and_stripped_and_empty_ones_passed_over(tmp_path):
    path = tmp_path / "list.txt"
    path.write_bytes("\ufeff1 a b\r\n\r\n 2 ü\u2028x \n".encode())
    assert list(read_lines(path, "get it")) == [(f"{path}, line 1", "1 a b"), (f"{path}, line 3", "2 ü\u2028x")]


def test_files_that_are_no_lists(tmp_path, monkeypatch):
    path = tmp_path / "list.txt"
    with pytest.raises(DataError, match=r"list\.txt: no such file\. get it\."):
        list(read_lines(path, "get it"))
    path.write_bytes(b"1 caf\xe9\n")
    with pytest.raises(DataError, match=r"list\.txt: not readable as UTF-8 text .*; get it\."):
        list(read_lines(path, "get it"))
    monkeypatch.setattr(annotations, "MAX_BYTES", 6)
    with pytest.raises(DataError, match=r"list\.txt: too large for an annotation file \(7 bytes\); get it\."):
        list(read_lines(path, "get it"))


def test_whole_numbers():
    assert whole_number("0042", "here") == 42
    for text in ("", "-1", "1.5", "0x10", "1_000", "²", "٣", "nan", "9" * 5000):
        with pytest.raises(DataError, match="here: expected a whole number, found"):
            whole_number(text, "here")


def test_boxes():
    assert checked_box(four_numbers(["1", 2, 3.5, " 4e0 "], "here"), "here") == (1, 2, 3.5, 4)
    for cells in ([], ["1", "2", "3"], [1, 2, 3, 4, 5], [1, 2, 3, "x"], [1, None, 3, 4], [1, 2, 3, [4]], [10**400] * 4):
        with pytest.raises(DataError, match="here: expected a box of four numbers"):
            four_numbers(cells, "here")
    nan, inf = float("nan"), float("inf")
    for box in (
        (1, 1, 1, 2),
        (1, 2, 2, 2),
        (3, 1, 2, 2),
        (nan, 0, 1, 1),
        (0, 0, 1, nan),
        (0, 0, inf, 1),
        (0, -inf, 1, 1),
    ):
        with pytest.raises(DataError, match=r"here: a box from .* is empty or out of range"):
            checked_box(box, "here")
    with pytest.raises(DataError, match="out of range"):
        checked_box((0, 0, 1e300, 1), "here")


@pytest.mark.parametrize(
    "relative", ["../a.jpg", "a/../../b.jpg", "a/..", "/etc/passwd", "a\\..\\b", "\\a", "C:/a", "a\0b"]
)
def test_paths_that_leave_the_data_set(tmp_path, relative):
    with pytest.raises(DataError, match=r"here: .* is not a path inside the data set"):
        path_inside(tmp_path, relative, "here")


def test_paths_inside_the_data_set(tmp_path):
    for relative in ("a b/c..d.jpg", "a/b:c.jpg", "..a/b.jpg"):
        assert path_inside(tmp_path, relative, "here") == tmp_path / relative


def test_tables_have_boxes_if_any_image_has_one(tmp_path):
    for name in ("a.jpg", "b.jpg"):
        (tmp_path / name).touch()
    first, second = Annotation(tmp_path / "a.jpg", "a", "train"), Annotation(tmp_path / "b.jpg", "b", "test")
    assert tables([first, second], "get it").train.boxes is None
    splits = tables([first, second._replace(box=(1, 2, 3, 4))], "get it")
    assert (splits.train.box(0), splits.test.box(0)) == (None, (1, 2, 3, 4))
    assert splits.train.boxes.shape == (1, 4)


def test_images_that_are_missing_are_counted(tmp_path):
    (tmp_path / "0.jpg").touch()
    (tmp_path / "1.jpg").mkdir()
    names = ["0.jpg", "1.jpg", "2.jpg", "x" * 5000, "nul\0"]
    rows = [Annotation(tmp_path / name, "a", "train") for name in names]
    with pytest.raises(DataError, match=r"1\.jpg: listed in the annotations, but missing\. 4 of 5 .* get it\."):
        tables(rows, "get it")
