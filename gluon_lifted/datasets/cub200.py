"""CUB-200-2011 (Wah et al. 2011): 200 bird species; classes 1-100 train and 101-200 test (Song et al. 2016).

``CUB_200_2011.tgz`` (md5 97eceeb196236b17998738112f37df78) contains ``images/`` and the lists ``images.txt`` (image id,
path), ``image_class_labels.txt`` (image id, class id), ``classes.txt`` (class id, name) and ``bounding_boxes.txt``
(image id, x, y, width, height). The official split into training and test images is for classification and not used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from gluon_lifted.datasets.annotations import (
    Annotation,
    Line,
    checked_box,
    four_numbers,
    path_inside,
    read_lines,
    tables,
    whole_number,
)
from gluon_lifted.datasets.image_table import PublishedCounts, Splits
from gluon_lifted.errors import DataError

if TYPE_CHECKING:
    from pathlib import Path

    from gluon_lifted.images.framing import Box

NUM_TRAIN_CLASSES = 100
PUBLISHED = PublishedCounts(train_images=5_864, train_classes=100, test_images=5_924, test_classes=100)
REMEDY = "Download CUB_200_2011.tgz from https://data.caltech.edu/records/65de6-vp158 and unpack it"


def load_cub200(root: Path, published: PublishedCounts = PUBLISHED) -> Splits:
    """Read CUB-200-2011.

    Parameters
    ----------
    root : Path
        The folder ``CUB_200_2011`` or its parent.
    published : PublishedCounts
        Expected counts.

    Raises
    ------
    DataError
        If something is missing or damaged. The message says what, and where to get it.
    """
    inner = root / "CUB_200_2011"
    root = inner if inner.is_dir() else root
    classes = _read_list(root / "classes.txt")
    labels = _read_list(root / "image_class_labels.txt")
    boxes = _read_list(root / "bounding_boxes.txt") if (root / "bounding_boxes.txt").is_file() else None
    rows = []
    for image, line in _read_list(root / "images.txt").items():
        label = _entry(labels, image, root / "image_class_labels.txt")
        class_id = whole_number(label.text, label.where)
        name = _entry(classes, class_id, root / "classes.txt").text
        box = None if boxes is None else _box(_entry(boxes, image, root / "bounding_boxes.txt"))
        split = "train" if class_id <= NUM_TRAIN_CLASSES else "test"
        rows.append(Annotation(path_inside(root / "images", line.text, line.where), name, split, box))
    splits = tables(rows, REMEDY)
    published.require(splits, root, REMEDY)
    return splits


def _read_list(path: Path) -> dict[int, Line]:
    """Read lines of an id and a text into a dictionary by id."""
    entries: dict[int, Line] = {}
    for where, line in read_lines(path, REMEDY):
        number, _, text = line.partition(" ")
        key = whole_number(number, where)
        if not text or key in entries:
            raise DataError(f"{where}: {'the id is used twice' if text else 'nothing follows the id'}. {REMEDY}.")
        entries[key] = Line(where, text.strip())
    return entries


def _entry(entries: dict[int, Line], key: int, path: Path) -> Line:
    if key not in entries:
        raise DataError(f"{path}: has no line for id {key}. {REMEDY}.")
    return entries[key]


def _box(line: Line) -> Box:
    """Convert x, y, width and height to edges."""
    left, top, width, height = four_numbers(line.text.split(), line.where)
    return checked_box((left, top, left + width, top + height), line.where)
