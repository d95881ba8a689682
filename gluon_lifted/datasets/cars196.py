"""CARS196 (Krause et al., 3dRR-13): 196 car classes; classes 1-98 train and 99-196 test (Song et al. 2016).

Three layouts are supported:

- one folder: ``cars_annos.mat`` beside ``car_ims/``;
- split: ``devkit/cars_train_annos.mat`` and ``cars_train/``, and ``cars_test_annos_withlabels.mat`` (in
  ``devkit/`` or beside it) and ``cars_test/``; images may be one folder deeper, in ``cars_train/cars_train/``, and
  all of it in ``stanford_cars/``, as torchvision expects it;
- Kaggle's: ``anno_train.csv``, ``anno_test.csv`` and ``names.csv`` beside ``car_data/car_data/train/<class>/`` and
  ``.../test/<class>/``.

The official halves are for classification. They are pooled and then split by class. A copy with only one half is
accepted. File names start from 1 in each half.

Boxes in the files are the first and last column and row of pixels, counted from 1 as in MATLAB.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np

from gluon_lifted.datasets.annotations import (
    Annotation,
    checked_box,
    four_numbers,
    path_inside,
    read_lines,
    require_file,
    tables,
    whole_number,
)
from gluon_lifted.datasets.image_table import PublishedCounts, Splits
from gluon_lifted.errors import DataError, MissingPackageError
from gluon_lifted.extras import install_command

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from gluon_lifted.images.framing import Box

NUM_CLASSES, NUM_TRAIN_CLASSES = 196, 98
HALVES = ("train", "test")
# 16,185 images. Counts of the training half are from its annotation file. The test half has the rest.
PUBLISHED: Mapping[str, PublishedCounts] = MappingProxyType(
    {
        "whole": PublishedCounts(train_images=8_054, train_classes=98, test_images=8_131, test_classes=98),
        "train": PublishedCounts(train_images=4_052, train_classes=98, test_images=4_092, test_classes=98),
        "test": PublishedCounts(train_images=4_002, train_classes=98, test_images=4_039, test_classes=98),
    }
)
BOX_FIELDS = ("bbox_x1", "bbox_y1", "bbox_x2", "bbox_y2")
REMEDY = "Download it from https://www.kaggle.com/datasets/jutrera/stanford-car-dataset-by-classes-folder and unpack it"


@dataclass(frozen=True)
class _MatLayout:
    """An annotation file, the folder of its images, its field of file names, and the file of class names."""

    annotations: Path
    images: Path
    file_field: str
    names: Path


def load_cars196(root: Path, published: Mapping[str, PublishedCounts] = PUBLISHED) -> Splits:
    """Read CARS196 in any of its layouts.

    Parameters
    ----------
    root : Path
        The folder that holds the annotations and the images' folder.
    published : mapping of str to PublishedCounts
        Expected counts of a ``"whole"`` copy, and of only the official ``"train"`` or ``"test"`` half.

    Raises
    ------
    DataError
        If something is missing or damaged. The message says what, and where to get it.
    """
    halves = _read_halves(root)
    splits = tables([row for rows in halves.values() for row in rows], REMEDY)
    part = next(iter(halves)) if len(halves) == 1 else "whole"
    published[part].require(splits, root, REMEDY)
    if part == "whole":
        return splits
    return replace(
        splits,
        note=f"cars196: only the official {part} half is here, so recall cannot be compared with published values.",
    )


def _read_halves(root: Path) -> dict[str, list[Annotation]]:
    """Read annotations by official half, or all of them as ``"whole"``."""
    nested = root / "stanford_cars"
    root = nested if nested.is_dir() else root
    whole = root / "cars_annos.mat"
    split = (root / "cars_train").is_dir() and not (root / "car_ims").is_dir()  # may also have a cars_annos.mat
    if whole.is_file() and not split:
        return {"whole": _read_mat(_MatLayout(whole, root, "relative_im_path", whole))}
    folders = root / "car_data" / "car_data"
    halves = {half: _read_csv(root, half) for half in HALVES if (folders / half).is_dir()}
    halves = halves or {
        half: _read_mat(
            _MatLayout(_split_annotations(root, half), _images(root, half), "fname", root / "devkit" / "cars_meta.mat")
        )
        for half in HALVES
        if (root / f"cars_{half}").is_dir()
    }
    if not halves:
        raise DataError(
            f"{root}: not CARS196; expected cars_annos.mat with car_ims/, devkit/ with cars_train/ and cars_test/, "
            f"or names.csv with car_data/. {REMEDY}."
        )
    return halves


def _images(root: Path, half: str) -> Path:
    folder = root / f"cars_{half}"
    deeper = folder / folder.name
    return deeper if deeper.is_dir() else folder


def _split_annotations(root: Path, half: str) -> Path:
    if half == "train":
        return root / "devkit" / "cars_train_annos.mat"
    name = "cars_test_annos_withlabels.mat"  # cars_test_annos.mat has no classes
    beside = root / name
    return beside if beside.is_file() else root / "devkit" / name


def _read_mat(layout: _MatLayout) -> list[Annotation]:
    records = np.atleast_1d(_load_mat(layout.annotations, "annotations"))
    names = [str(name) for name in np.atleast_1d(_load_mat(layout.names, "class_names"))]
    _require_names(names, layout.names)
    boxed = set(BOX_FIELDS) <= set(records.dtype.names or ())
    fields = (layout.file_field, "class", *(BOX_FIELDS if boxed else ()))
    try:
        columns = [records[field] for field in fields]
    except (KeyError, IndexError, ValueError) as error:
        raise DataError(
            f"{layout.annotations}: has no fields {layout.file_field!r} and 'class' ({error}). {REMEDY}."
        ) from None
    rows = []
    for number, (file, label, *box) in enumerate(zip(*columns, strict=True), start=1):
        where = f"{layout.annotations}, entry {number}"
        class_id = _class_id(str(label).removesuffix(".0"), where)  # MATLAB's numbers are doubles
        path = path_inside(layout.images, str(file), where)
        rows.append(_annotation(path, class_id, names, _box(box, where) if boxed else None))
    return rows


def _read_csv(root: Path, half: str) -> list[Annotation]:
    """Read Kaggle's layout. Rows are file, x1, y1, x2, y2, class, without a header."""
    names = [line.text.strip('"') for line in read_lines(root / "names.csv", REMEDY)]
    _require_names(names, root / "names.csv")
    rows = []
    for where, line in read_lines(root / f"anno_{half}.csv", REMEDY):
        file, *cells = line.rsplit(",", 5)
        if len(cells) != 5:
            raise DataError(f"{where}: expected file, x1, y1, x2, y2, class, found {line!r:.100}. {REMEDY}.")
        class_id = _class_id(cells[4], where)
        folder = names[class_id - 1].replace("/", "-")
        path = path_inside(root / "car_data" / "car_data" / half, f"{folder}/{file}", where)
        rows.append(_annotation(path, class_id, names, _box(cells[:4], where)))
    return rows


def _annotation(path: Path, class_id: int, names: list[str], box: Box | None) -> Annotation:
    # The number keeps the official order of classes when names are sorted.
    name = f"{class_id:03d} {names[class_id - 1]}"
    return Annotation(path, name, "train" if class_id <= NUM_TRAIN_CLASSES else "test", box)


def _class_id(text: str, where: str) -> int:
    class_id = whole_number(text, where)
    if not 1 <= class_id <= NUM_CLASSES:
        raise DataError(f"{where}: the class is {class_id}; expected 1 to {NUM_CLASSES}.")
    return class_id


def _box(cells: Sequence[Any], where: str) -> Box:
    """Convert first and last pixel, counted from 1, to edges."""
    first_x, first_y, last_x, last_y = four_numbers(cells, where)
    return checked_box((first_x - 1, first_y - 1, last_x, last_y), where)


def _require_names(names: list[str], path: Path) -> None:
    if len(names) != NUM_CLASSES:
        raise DataError(f"{path}: has {len(names)} class names; expected {NUM_CLASSES}. {REMEDY}.")


def _load_mat(path: Path, variable: str) -> Any:
    """Read a variable of a MATLAB file. Struct arrays become NumPy record arrays."""
    require_file(path, REMEDY)
    try:
        from scipy.io import loadmat
    except ImportError:
        raise MissingPackageError(
            f"SciPy is not installed, and reading {path.name} needs it. Install it: `{install_command('cars196')}`"
        ) from None
    try:
        return loadmat(path, squeeze_me=True, variable_names=[variable])[variable]
    except Exception as error:  # SciPy raises a dozen types for damaged files, including zlib.error and struct.error
        raise DataError(f"{path}: not a MATLAB file with the variable {variable!r} ({error}). {REMEDY}.") from None
