from pathlib import Path

import numpy as np
import pytest

from gluon_lifted.datasets.image_table import ImageTable, PublishedCounts, Splits
from gluon_lifted.errors import DataError

PATHS = [Path(name) for name in ("0.png", "1.png", "2.png", "3.png")]
NAMES = ["b", "a", "c", "a"]
BOXES = np.array([[0, 0, 4, 4], [1, 2, 3, 4.5], [np.nan] * 4, [5, 5, 9, 9]], np.float32)


def test_boxes_stay_with_their_images():
    table = ImageTable.from_names(PATHS, NAMES, BOXES)
    assert [table.box(row) for row in range(4)] == [(0, 0, 4, 4), (1, 2, 3, 4.5), None, (5, 5, 9, 9)]
    first, others = table.split_classes(1)
    assert first.class_names == ("a",)
    assert [(path.name, first.box(row)) for row, path in enumerate(first.paths)] == [
        ("1.png", (1, 2, 3, 4.5)),
        ("3.png", (5, 5, 9, 9)),
    ]
    assert [(path.name, others.box(row)) for row, path in enumerate(others.paths)] == [
        ("0.png", (0, 0, 4, 4)),
        ("2.png", None),
    ]


def test_tables_without_boxes():
    splits = Splits(*ImageTable.from_names(PATHS, NAMES, BOXES).split_classes(1), "a note").without_boxes()
    assert splits.note == "a note"
    for table in (ImageTable.from_names(PATHS, NAMES), splits.train, splits.test):
        assert table.boxes is None
        assert table.box(0) is None
        assert table.split_classes(1)[0].boxes is None


def test_counts_that_differ_from_the_published_ones():
    splits = Splits(*ImageTable.from_names(PATHS, NAMES).split_classes(1))
    published = PublishedCounts(train_images=2, train_classes=1, test_images=2, test_classes=2)
    published.require(splits, Path("copy"), "get it")
    for wrong in ((3, 1, 2, 2), (2, 2, 2, 2), (2, 1, 1_234, 2), (2, 1, 2, 1)):
        with pytest.raises(
            DataError, match=r"^copy: has 2 training images of 1 classes .*; expected the published .*\. get it\.$"
        ):
            PublishedCounts(*wrong).require(splits, Path("copy"), "get it")
    with pytest.raises(
        DataError, match=r"the published 2 training images of 1 classes and 1,234 test images of 2\. get it"
    ):
        PublishedCounts(2, 1, 1_234, 2).require(splits, Path("copy"), "get it")
