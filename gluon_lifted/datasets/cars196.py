"""CARS196 (Krause et al., 3dRR-13): 196 car classes; classes 1-98 train and 99-196 test (Song et al. 2016).

Both official layouts are read:

- all in one: ``cars_annos.mat`` beside ``car_ims/``;
- split: ``devkit/cars_train_annos.mat`` and ``cars_train/``, and ``cars_test_annos_withlabels.mat`` (in
  ``devkit/`` or beside it) and ``cars_test/``. The official halves are pooled and then split by class. A copy
  with one half alone is read as it is.

The images are used whole: the annotation files' bounding boxes are not applied.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from gluon_lifted.datasets.base import ImageTable, Splits
from gluon_lifted.errors import DataError

if TYPE_CHECKING:
    from pathlib import Path

NUM_CLASSES, NUM_TRAIN_CLASSES = 196, 98
SOURCE = "cars_annos.mat with car_ims/, or devkit/cars_train_annos.mat with cars_train/"


@dataclass(frozen=True)
class _Layout:
    """One annotation file, where its images are, and what its fields are called."""

    annotations: Path
    images: Path
    file_field: str
    names: Path


def load_cars196(root: Path) -> Splits:
    """Read CARS196 in either layout. Raises `DataError` naming the file that is missing or damaged."""
    layouts = _find_layouts(root)
    paths: list[Path] = []
    classes: list[int] = []
    for layout in layouts:
        for path, label in _read_annotations(layout):
            paths.append(path)
            classes.append(label)
    missing = [path for path in paths if not path.is_file()]
    if missing:
        raise DataError(
            f"{missing[0]}: listed in the annotations but not there ({len(missing)} of {len(paths)} images); "
            "unpack the image archive again."
        )
    names = _read_class_names(layouts[0].names)
    # The number keeps the official class order where names are sorted.
    table = ImageTable.from_names(paths, [f"{label:03d} {names[label - 1]}" for label in classes])
    num_train = sum(int(name[:3]) <= NUM_TRAIN_CLASSES for name in table.class_names)
    return Splits(*table.split_classes(num_train))


def _find_layouts(root: Path) -> list[_Layout]:
    if not root.is_dir():
        raise DataError(f"{root}: no such folder; expected {SOURCE}.")
    whole = root / "cars_annos.mat"
    if whole.is_file():
        return [_Layout(whole, root, "relative_im_path", whole)]
    meta = root / "devkit" / "cars_meta.mat"
    halves = [
        _Layout(root / "devkit" / "cars_train_annos.mat", root / "cars_train", "fname", meta),
        _Layout(_labelled_test_annotations(root), root / "cars_test", "fname", meta),
    ]
    found = [half for half in halves if half.images.is_dir()]
    if not found:
        raise DataError(f"{root}: not CARS196; expected {SOURCE}.")
    return found


def _labelled_test_annotations(root: Path) -> Path:
    name = "cars_test_annos_withlabels.mat"
    beside = root / name
    return beside if beside.is_file() else root / "devkit" / name


def _read_annotations(layout: _Layout) -> list[tuple[Path, int]]:
    records = _load_mat(layout.annotations, "annotations")
    try:
        rows = [
            (layout.images / str(file), int(label))
            for file, label in zip(
                *(np.atleast_1d(records[name]) for name in (layout.file_field, "class")), strict=True
            )
        ]
    except (KeyError, IndexError, TypeError, ValueError) as error:
        raise DataError(
            f"{layout.annotations}: no fields {layout.file_field!r} and 'class' ({error}); download it again."
        ) from None
    for path, label in rows:
        if not 1 <= label <= NUM_CLASSES:
            raise DataError(f"{layout.annotations}: {path.name} has class {label}; expected 1 to {NUM_CLASSES}.")
    return rows


def _read_class_names(path: Path) -> list[str]:
    names = [str(name) for name in np.atleast_1d(_load_mat(path, "class_names"))]
    if len(names) != NUM_CLASSES:
        raise DataError(f"{path}: {len(names)} class names; expected {NUM_CLASSES}.")
    return names


def _load_mat(path: Path, variable: str) -> Any:
    """One variable of a MATLAB file; struct arrays come as NumPy record arrays."""
    from scipy.io import loadmat

    if not path.is_file():
        raise DataError(f"{path}: no such file; CARS196 needs it ({SOURCE}).")
    try:
        return loadmat(path, squeeze_me=True, variable_names=[variable])[variable]
    except Exception as error:  # scipy raises a dozen types on damaged files, zlib.error and struct.error among them
        raise DataError(f"{path}: not a MATLAB file holding {variable!r} ({error}); download it again.") from None
