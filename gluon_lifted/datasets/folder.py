"""A folder with one sub-folder per class.

Either ``ROOT/<class>/*.jpg``, where the first half of the sorted classes is for training and the other half for
testing, as in the paper's data sets; or ``ROOT/train/<class>`` and ``ROOT/test/<class>``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from gluon_lifted.datasets.image_table import ImageTable, Splits
from gluon_lifted.errors import DataError
from gluon_lifted.images import IMAGE_SUFFIXES

if TYPE_CHECKING:
    from pathlib import Path

LAYOUT = "one sub-folder of images per class"


def load_folder(root: Path) -> Splits:
    """Read the class folders of ``root``. Raises `DataError` if it is missing or empty or has only one class."""
    if not root.is_dir():
        raise DataError(f"{root}: {'is a file' if root.exists() else 'no such folder'}; expected {LAYOUT}.")
    if (root / "train").is_dir() and (root / "test").is_dir():
        return Splits(_read_classes(root / "train"), _read_classes(root / "test"))
    table = _read_classes(root)
    if len(table.class_names) < 2:
        raise DataError(
            f"{root}: has only one class, {table.class_names[0]!r}. At least 2 are needed, half of them for training "
            "and half for testing."
        )
    return Splits(*table.split_classes(len(table.class_names) // 2))


def _read_classes(root: Path) -> ImageTable:
    folders = sorted(entry for entry in root.iterdir() if entry.is_dir() and not entry.name.startswith("."))
    paths = [path for folder in folders for path in _images_in(folder)]
    if not paths:
        outside = len(_images_in(root))
        found = f"its {len(folders)} sub-folders contain no images" if folders else "it has no sub-folders"
        raise DataError(
            f"{root}: {found}{f', but {outside:,} images directly inside' if outside else ''}; expected {LAYOUT} "
            f"({', '.join(sorted(IMAGE_SUFFIXES))}). Move the images of each class into a folder with its name."
        )
    return ImageTable.from_names(paths, [path.parent.name for path in paths])


def _images_in(folder: Path) -> list[Path]:
    return sorted(
        path
        for path in folder.iterdir()
        if path.suffix.lower() in IMAGE_SUFFIXES and not path.name.startswith(".") and path.is_file()
    )
