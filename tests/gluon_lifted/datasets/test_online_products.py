"""Stanford Online Products in tiny copies of its official layout, including its oddities."""

import pytest
from PIL import Image

from gluon_lifted.datasets import load_dataset
from gluon_lifted.datasets.image_table import PublishedCounts
from gluon_lifted.datasets.online_products import PUBLISHED, load_online_products
from gluon_lifted.errors import DataError

TINY = PublishedCounts(train_images=4, train_classes=2, test_images=3, test_classes=2)
HEADER = "image_id class_id super_class_id path"
TRAIN = [
    "1 1 1 bicycle_final/111085122871_0.JPG",
    "2 1 1 bicycle_final/111085122871_1.JPG",
    "3 11318 12 toaster_final/a name with spaces_0.JPG",
    "4 11318 12 toaster_final/a name with spaces_1.JPG",
]
TEST = [
    "59552 11319 4 coffee_maker_final/111085122871_0.JPG",  # a file name that another folder has too
    "59553 11319 4 coffee_maker_final/111085122871_1.JPG",
    "59554 22634 1 bicycle_final/331968432218_0.JPG",
]


@pytest.fixture
def copy(tmp_path):
    root = tmp_path / "Stanford_Online_Products"
    for name, lines in (("train", TRAIN), ("test", TEST)):
        for number, line in enumerate(lines):
            path = root / line.split(maxsplit=3)[3]
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.new("L" if number == 1 else "RGB", (6, 4), "white").save(path)
        (root / f"Ebay_{name}.txt").write_text("\n".join([HEADER, *lines]) + "\n")
    return root


def test_both_lists_are_read_from_their_first_row_on(copy):
    for root in (copy, copy.parent):
        splits = load_online_products(root, TINY)
        assert splits.train.class_names == ("00001 bicycle", "11318 toaster")
        assert splits.test.class_names == ("11319 coffee_maker", "22634 bicycle")
        assert splits.train.labels.tolist() == [0, 0, 1, 1]
        assert splits.test.labels.tolist() == [0, 0, 1]
        for table, lines in ((splits.train, TRAIN), (splits.test, TEST)):
            assert list(table.paths) == [copy / line.split(maxsplit=3)[3] for line in lines]
            assert table.boxes is None


def test_lines_may_end_as_on_windows(copy):
    path = copy / "Ebay_train.txt"
    path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))
    assert len(load_online_products(copy, TINY).train) == 4


def test_the_published_numbers_hold_unless_told_otherwise(copy):
    assert PublishedCounts(train_images=59551, train_classes=11318, test_images=60502, test_classes=11316) == PUBLISHED
    assert PUBLISHED.train_images + PUBLISHED.test_images == 120053
    assert PUBLISHED.train_classes + PUBLISHED.test_classes == 22634
    for load in (load_online_products, lambda root: load_dataset("sop", root)):
        with pytest.raises(
            DataError, match=r"has 4 training .* published 59,551 .* get Stanford_Online_Products\.zip from"
        ):
            load(copy)


def test_images_that_are_missing(copy):
    (copy / "bicycle_final" / "331968432218_0.JPG").unlink()
    with pytest.raises(
        DataError, match=r"331968432218_0\.JPG: listed .* \(1 of 7 .* get Stanford_Online_Products\.zip"
    ):
        load_online_products(copy, TINY)


def test_lists_that_are_missing(copy):
    (copy / "Ebay_test.txt").unlink()
    with pytest.raises(DataError, match=r"Ebay_test\.txt: no such file\. Download Stanford_Online_Products\.zip from"):
        load_online_products(copy, TINY)
    with pytest.raises(DataError, match=r"Ebay_train\.txt: no such file\. Download Stanford_Online_Products\.zip from"):
        load_online_products(copy / "nowhere")


@pytest.mark.parametrize(
    ("line", "new", "message"),
    [
        (0, "", r"Ebay_train\.txt: does not begin with the line 'image_id class_id"),
        (0, "class_id image_id super_class_id path", "does not begin with the line"),
        (1, "1 1 bicycle_final/111085122871_0.JPG", r"Ebay_train\.txt, line 2: expected image_id class_id"),
        (1, "1 b 1 bicycle_final/111085122871_0.JPG", r"Ebay_train\.txt, line 2: expected a whole number, found 'b'"),
        (4, "4 1 1 ../bicycle_final/111085122871_0.JPG", r"Ebay_train\.txt, line 5: .* is not a path inside"),
        (4, "4 1 1 /etc/passwd", r"Ebay_train\.txt, line 5: .* is not a path inside"),
        (1, TEST[2], "class '22634 bicycle' is in both"),
    ],
)
def test_damaged_lists_are_named_with_the_line(copy, line, new, message):
    lines = [HEADER, *TRAIN]
    lines[line] = new
    (copy / "Ebay_train.txt").write_text("\n".join(lines))
    with pytest.raises(DataError, match=message):
        load_online_products(copy, TINY)
    (copy / "Ebay_train.txt").write_bytes(b"")
    with pytest.raises(DataError, match="does not begin with the line"):
        load_online_products(copy, TINY)
