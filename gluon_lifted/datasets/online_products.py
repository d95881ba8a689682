"""Stanford Online Products (Song et al. 2016): 22,634 products in 12 categories; the first 11,318 products train.

``Stanford_Online_Products.zip`` (2.9 GB, md5 7f73d41a2f44250d4779881525aea32e) contains a folder per category, such as
``bicycle_final/``, and the lists ``Ebay_train.txt`` and ``Ebay_test.txt``, which begin with the line
``image_id class_id super_class_id path``. Each product is a class.

The authors cut images to the object and pad them with white: ``Preprocessing(fit="pad", trim=True)``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from gluon_lifted.datasets.annotations import (
    Annotation,
    path_inside,
    read_lines,
    tables,
    whole_number,
)
from gluon_lifted.datasets.image_table import PublishedCounts, Splits
from gluon_lifted.errors import DataError

if TYPE_CHECKING:
    from pathlib import Path

HEADER = ["image_id", "class_id", "super_class_id", "path"]
PUBLISHED = PublishedCounts(train_images=59_551, train_classes=11_318, test_images=60_502, test_classes=11_316)
REMEDY = (
    "Download Stanford_Online_Products.zip from https://drive.google.com/file/d/1TclrpQOF_ullUP99wk_gjGN8pKvtErG8 "
    "or ftp://cs.stanford.edu/cs/cvgl/ and unpack it"
)


def load_online_products(root: Path, published: PublishedCounts = PUBLISHED) -> Splits:
    """Read Stanford Online Products.

    Parameters
    ----------
    root : Path
        The folder ``Stanford_Online_Products`` or its parent.
    published : PublishedCounts
        Expected counts.

    Raises
    ------
    DataError
        If something is missing or damaged. The message says what, and where to get it.
    """
    inner = root / "Stanford_Online_Products"
    root = inner if inner.is_dir() else root
    splits = tables(_read_list(root, "train") + _read_list(root, "test"), REMEDY)
    published.require(splits, root, REMEDY)
    return splits


def _read_list(root: Path, split: str) -> list[Annotation]:
    path = root / f"Ebay_{split}.txt"
    lines = read_lines(path, REMEDY)
    header = next(lines, None)
    if header is None or header.text.split() != HEADER:
        raise DataError(f"{path}: does not begin with the line {' '.join(HEADER)!r}. {REMEDY}.")
    rows = []
    for where, line in lines:
        cells = line.split(maxsplit=3)  # a path may contain spaces
        if len(cells) < 4:
            raise DataError(f"{where}: expected {' '.join(HEADER)}, found {line!r:.100}. {REMEDY}.")
        _, class_id, _ = (whole_number(cell, where) for cell in cells[:3])
        category = cells[3].partition("/")[0].removesuffix("_final")
        # The number, padded with zeros, keeps the official order of classes when names are sorted.
        rows.append(Annotation(path_inside(root, cells[3], where), f"{class_id:05d} {category}", split))
    return rows
