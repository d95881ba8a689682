"""ImageTable: image paths with class labels; Splits: the two tables of a zero-shot retrieval data set."""

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
        Names of the classes; every one has at least one image.
    boxes : ndarray, float32, (N, 4), optional
        What to use of each image: left, top, right, bottom in pixels of the upright image. NaN where there is no
        box; None if the data set has none, or they are not wanted.
    """

    paths: tuple[Path, ...]
    labels: NDArray[np.int64]
    class_names: tuple[str, ...]
    boxes: NDArray[np.float32] | None = None

    def __len__(self) -> int:
        return len(self.paths)

    @staticmethod
    def from_names(paths: Sequence[Path], names: Sequence[str], boxes: NDArray[np.float32] | None = None) -> ImageTable:
        """Build a table from each image's class name; classes are numbered in sorted order of their names."""
        class_names = sorted(set(names))
        numbers = {name: label for label, name in enumerate(class_names)}
        labels = np.fromiter((numbers[name] for name in names), np.int64, len(names))
        return ImageTable(tuple(paths), labels, tuple(class_names), boxes)

    def box(self, row: int) -> Box | None:
        """Left, top, right, bottom of what to use of one image, or None if that is the whole of it."""
        if self.boxes is None or np.isnan(self.boxes[row]).any():
            return None
        left, top, right, bottom = self.boxes[row].tolist()
        return left, top, right, bottom

    def images_per_class(self) -> NDArray[np.int64]:
        return np.bincount(self.labels, minlength=len(self.class_names)).astype(np.int64)

    def split_classes(self, first: int) -> tuple[ImageTable, ImageTable]:
        """The images of the first ``first`` classes, and those of the others."""
        return self._of_classes(0, first), self._of_classes(first, len(self.class_names))

    def _of_classes(self, start: int, stop: int) -> ImageTable:
        rows = np.flatnonzero((self.labels >= start) & (self.labels < stop))
        paths = tuple(self.paths[row] for row in rows)
        boxes = None if self.boxes is None else self.boxes[rows]
        return ImageTable(paths, self.labels[rows] - start, self.class_names[start:stop], boxes)


@dataclass(frozen=True)
class Splits:
    """Images to train on and images to test with; no class is in both.

    ``note`` says what keeps a copy of a published data set from being compared with published results.
    """

    train: ImageTable
    test: ImageTable
    note: str = ""

    def __post_init__(self) -> None:
        common = set(self.train.class_names) & set(self.test.class_names)
        if common:
            raise DataError(
                f"class {min(common)!r} is in both the training and the test images; "
                f"a zero-shot test needs classes never trained on: move it to one side ({len(common)} such classes)."
            )

    def without_boxes(self) -> Splits:
        return replace(self, train=replace(self.train, boxes=None), test=replace(self.test, boxes=None))


@dataclass(frozen=True)
class PublishedCounts:
    """How many images and classes a published data set has on either side of its split."""

    train_images: int
    train_classes: int
    test_images: int
    test_classes: int

    def require(self, splits: Splits, where: Path, remedy: str) -> None:
        """Refuse a copy that has more or less. Raises `DataError` ending in ``remedy``."""
        counts = PublishedCounts(
            len(splits.train), len(splits.train.class_names), len(splits.test), len(splits.test.class_names)
        )
        if counts != self:
            raise DataError(f"{where}: has {counts}, but {self} were published; {remedy}.")

    def __str__(self) -> str:
        return (
            f"{self.train_images:,} training images of {self.train_classes:,} classes "
            f"and {self.test_images:,} test images of {self.test_classes:,}"
        )


def require_trainable(table: ImageTable, where: Path) -> None:
    """Refuse a training table that has no negatives or a class without a positive pair. Raises `DataError`."""
    if len(table.class_names) < 2:
        raise DataError(
            f"{where}: {len(table.class_names)} class to train on, and the loss compares at least 2: "
            "add classes (half of a folder's test), or lower --validation-classes."
        )
    counts = table.images_per_class()
    if counts.min() < 2:
        alone = int(counts.argmin())
        raise DataError(
            f"{where}: class {table.class_names[alone]!r} has 1 image, and a positive pair needs 2; "
            f"add images or remove the class ({int((counts < 2).sum())} such classes)."
        )
