"""Image paths with class labels, and the training and test tables of a zero-shot retrieval data set."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from gluon_lifted.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from gluon_lifted.images.framing import Box


@dataclass(frozen=True, eq=False)
class ImageTable:
    """N images and their classes.

    Parameters
    ----------
    paths : tuple of Path, (N,)
        Image files.
    labels : ndarray, int64, (N,)
        Class of each image, an index into ``class_names``.
    class_names : tuple of str
        Names of the classes. Each class has at least one image.
    boxes : ndarray, float32, (N, 4), optional
        Used part of each image: left, top, right, bottom in pixels of the upright image. NaN for an image without a
        box; None if whole images are used.
    """

    paths: tuple[Path, ...]
    labels: NDArray[np.int64]
    class_names: tuple[str, ...]
    boxes: NDArray[np.float32] | None = None

    def __len__(self) -> int:
        return len(self.paths)

    @staticmethod
    def from_names(paths: Sequence[Path], names: Sequence[str], boxes: NDArray[np.float32] | None = None) -> ImageTable:
        """Build a table from class names. Labels number the sorted class names."""
        class_names = sorted(set(names))
        numbers = {name: label for label, name in enumerate(class_names)}
        labels = np.fromiter((numbers[name] for name in names), np.int64, len(names))
        return ImageTable(tuple(paths), labels, tuple(class_names), boxes)

    def box(self, row: int) -> Box | None:
        """Return left, top, right, bottom of the used part of an image, or None if the whole image is used."""
        if self.boxes is None or np.isnan(self.boxes[row]).any():
            return None
        left, top, right, bottom = self.boxes[row].tolist()
        return left, top, right, bottom

    def images_per_class(self) -> NDArray[np.int64]:
        """Count the images of each class: int64, in the order of ``class_names``."""
        return np.bincount(self.labels, minlength=len(self.class_names)).astype(np.int64)

    def split_classes(self, first: int) -> tuple[ImageTable, ImageTable]:
        """Split into a table of the first ``first`` classes and a table of the others."""
        return self._of_classes(0, first), self._of_classes(first, len(self.class_names))

    def _of_classes(self, start: int, stop: int) -> ImageTable:
        rows = np.flatnonzero((self.labels >= start) & (self.labels < stop))
        paths = tuple(self.paths[row] for row in rows)
        boxes = None if self.boxes is None else self.boxes[rows]
        return ImageTable(paths, self.labels[rows] - start, self.class_names[start:stop], boxes)


@dataclass(frozen=True)
class Splits:
    """Training and test images, which have no class in common.

    ``note`` says why results cannot be compared with published ones. It is empty otherwise.
    """

    train: ImageTable
    test: ImageTable
    note: str = ""

    def __post_init__(self) -> None:
        common = set(self.train.class_names) & set(self.test.class_names)
        if common:
            raise DataError(
                f"class {min(common)!r} has both training and test images ({len(common)} such classes); expected test "
                "classes that are not trained on. Put each class on one side."
            )

    def without_boxes(self) -> Splits:
        """Return the splits with whole images instead of boxes."""
        return replace(self, train=replace(self.train, boxes=None), test=replace(self.test, boxes=None))


@dataclass(frozen=True)
class PublishedCounts:
    """Numbers of images and classes in the training and test split of a published data set."""

    train_images: int
    train_classes: int
    test_images: int
    test_classes: int

    def require(self, splits: Splits, where: Path, remedy: str) -> None:
        """Raise `DataError` that ends in ``remedy`` if a copy has other counts."""
        counts = PublishedCounts(
            len(splits.train), len(splits.train.class_names), len(splits.test), len(splits.test.class_names)
        )
        if counts != self:
            raise DataError(f"{where}: has {counts}; expected the published {self}. {remedy}.")

    def __str__(self) -> str:
        return (
            f"{self.train_images:,} training images of {self.train_classes:,} classes "
            f"and {self.test_images:,} test images of {self.test_classes:,}"
        )


def require_trainable(table: ImageTable, where: Path) -> None:
    """Raise `DataError` if a training table has no negatives, or a class without a positive pair."""
    if len(table.class_names) < 2:
        raise DataError(
            f"{where}: has {len(table.class_names)} training class, but the loss needs at least 2. Add classes (half "
            "of a folder's classes are for testing), or lower --validation-classes."
        )
    counts = table.images_per_class()
    if counts.min() < 2:
        alone = int(counts.argmin())
        raise DataError(
            f"{where}: class {table.class_names[alone]!r} has 1 image, but a positive pair needs 2 "
            f"({int((counts < 2).sum())} such classes). Add images, or remove the class."
        )
