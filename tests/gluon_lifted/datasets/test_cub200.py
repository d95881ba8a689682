"""CUB-200-2011 in tiny copies of its official layout, including its oddities."""

import os
from pathlib import Path

import pytest
from PIL import Image

from gluon_lifted.datasets import load_dataset
from gluon_lifted.datasets.cub200 import PUBLISHED, load_cub200
from gluon_lifted.datasets.image_table import PublishedCounts
from gluon_lifted.errors import DataError

TINY = PublishedCounts(train_images=3, train_classes=2, test_images=3, test_classes=2)
CLASSES = {
    1: "001.Black_footed_Albatross",
    100: "100.Brown_Pelican",
    101: "101.White_Pelican",
    200: "200.Common Yellowthroat",
}
IMAGES = [  # class id, file, x, y, width, height
    (1, "Black_Footed_Albatross_0046_18.jpg", "60.0 27.0 325.0 304.0"),
    (1, "Black_Footed_Albatross_0009_34.jpg", "139.0 30.0 153.0 264.0"),
    (100, "Brown Pelican 0003_94551.jpg", "14.5 112.0 388.0 186.0"),
    (101, "White_Pelican_0025_97083.jpg", "1.0 1.0 20.0 10.0"),
    (200, "Common_Yellowthroat_0003_190521.jpg", "0.0 0.0 20.0 10.0"),
    (200, "Common_Yellowthroat_0049_190708.jpg", "7.0 7.0 2.0 2.0"),
]


@pytest.fixture
def copy(tmp_path):
    root = tmp_path / "CUB_200_2011"
    lists = {"images": [], "image_class_labels": [], "bounding_boxes": [], "train_test_split": []}
    for image, (label, file, box) in enumerate(IMAGES, start=1):
        path = root / "images" / CLASSES[label] / file
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("L" if image == 2 else "RGB", (20, 10)).save(path)  # a few of the originals are gray
        lists["images"].append(f"{image} {CLASSES[label]}/{file}")
        lists["image_class_labels"].append(f"{image} {label}")
        lists["bounding_boxes"].append(f"{image} {box}")
        lists["train_test_split"].append(f"{image} {image % 2}")
    lists["classes"] = [f"{label} {name}" for label, name in CLASSES.items()]
    for name, lines in lists.items():
        (root / f"{name}.txt").write_text("\n".join(lines) + "\n")
    return root


def edit(path, old, new):
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))


def test_the_first_hundred_classes_train_and_the_official_split_is_not_used(copy):
    for root in (copy, copy.parent):
        splits = load_cub200(root, TINY)
        assert splits.train.class_names == (CLASSES[1], CLASSES[100])
        assert splits.test.class_names == (CLASSES[101], CLASSES[200])
        for table, listed in ((splits.train, IMAGES[:3]), (splits.test, IMAGES[3:])):
            expected = [copy / "images" / CLASSES[label] / file for label, file, _ in listed]
            assert list(table.paths) == expected
            assert [table.class_names[label] for label in table.labels] == [path.parent.name for path in expected]


def test_boxes_are_edges(copy):
    splits = load_cub200(copy, TINY)
    assert [splits.train.box(row) for row in range(3)] == [
        (60, 27, 385, 331),
        (139, 30, 292, 294),
        (14.5, 112, 402.5, 298),
    ]
    (copy / "bounding_boxes.txt").unlink()
    assert load_cub200(copy, TINY).train.boxes is None


def test_the_published_numbers_hold_unless_told_otherwise(copy):
    assert PublishedCounts(train_images=5864, train_classes=100, test_images=5924, test_classes=100) == PUBLISHED
    assert PUBLISHED.train_images + PUBLISHED.test_images == 11788
    for load in (load_cub200, lambda root: load_dataset("cub200", root)):
        with pytest.raises(
            DataError, match=r"has 3 training .* published 5,864 .* get CUB_200_2011\.tgz from https://data\.cal"
        ):
            load(copy)


def test_images_that_are_missing(copy):
    (copy / "images" / CLASSES[101] / IMAGES[3][1]).unlink()
    with pytest.raises(DataError, match=r"White_Pelican_0025_97083\.jpg: listed .* \(1 of 6 .* get CUB_200_2011\.tgz"):
        load_cub200(copy, TINY)


def test_folders_that_are_not_cub200(tmp_path):
    for root in (tmp_path, tmp_path / "nowhere"):
        with pytest.raises(DataError, match=r"classes\.txt: no such file\. Download CUB_200_2011\.tgz from"):
            load_cub200(root)


@pytest.mark.parametrize(
    ("file", "old", "new", "message"),
    [
        ("images", "3 100.", "x 100.", r"images\.txt, line 3: expected a whole number, found 'x'"),
        ("images", "3 100.", "2 100.", r"images\.txt, line 3: duplicate id"),
        ("images", "3 100.", "7 100.", r"image_class_labels\.txt: no line for id 7"),
        ("images", "2 001.", "2 ../001.", r"images\.txt, line 2: .* is not a path inside"),
        ("images", "2 001.", "2 /001.", r"images\.txt, line 2: .* is not a path inside"),
        (
            "image_class_labels",
            "3 100",
            "3 one",
            r"image_class_labels\.txt, line 3: expected a whole number, found 'one'",
        ),
        ("image_class_labels", "3 100", "3", r"image_class_labels\.txt, line 3: nothing follows the id"),
        ("image_class_labels", "3 100", "3 99", r"classes\.txt: no line for id 99"),
        (
            "bounding_boxes",
            "2 139.0 30.0 153.0",
            "2 139.0 30.0",
            r"bounding_boxes\.txt, line 2: expected a box of four numbers",
        ),
        ("bounding_boxes", "2 139.0 30.0 153.0", "2 139.0 30.0 0", r"bounding_boxes\.txt, line 2: a box .* is empty"),
        ("bounding_boxes", "2 139.0", "9 139.0", r"bounding_boxes\.txt: no line for id 2"),
    ],
)
def test_damaged_lists_are_named_with_the_line(copy, file, old, new, message):
    edit(copy / f"{file}.txt", old, new)
    with pytest.raises(DataError, match=message):
        load_cub200(copy, TINY)


@pytest.mark.skipif(
    not os.path.isdir(os.path.join(os.environ.get("LIFTED_DATA", "-"), "CUB_200_2011")),
    reason="no CUB_200_2011 in the folder LIFTED_DATA",
)
def test_the_real_data_set():
    assert len(load_cub200(Path(os.environ["LIFTED_DATA"])).test) == 5924
