"""ImageTable: image paths with class labels; Splits: the two tables of a zero-shot retrieval data set."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from gluon_lifted.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray


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
    """

    paths: tuple[Path, ...]
    labels: NDArray[np.int64]
    class_names: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.paths)

    @staticmethod
    def from_names(paths: Sequence[Path], names: Sequence[str]) -> ImageTable:
        """Build a table from each image's class name; classes are numbered in sorted order of their names."""
        class_names, labels = np.unique(np.asarray(names, dtype=str), return_inverse=True)
        return ImageTable(tuple(paths), labels.astype(np.int64), tuple(class_names.tolist()))

    def images_per_class(self) -> NDArray[np.int64]:
        return np.bincount(self.labels, minlength=len(self.class_names)).astype(np.int64)

    def split_classes(self, first: int) -> tuple[ImageTable, ImageTable]:
        """The images of the first ``first`` classes, and those of the others."""
        return self._of_classes(0, first), self._of_classes(first, len(self.class_names))

    def _of_classes(self, start: int, stop: int) -> ImageTable:
        rows = np.flatnonzero((self.labels >= start) & (self.labels < stop))
        paths = tuple(self.paths[row] for row in rows)
        return ImageTable(paths, self.labels[rows] - start, self.class_names[start:stop])


@dataclass(frozen=True)
class Splits:
    """Images to train on and images to test with; no class is in both."""

    train: ImageTable
    test: ImageTable

    def __post_init__(self) -> None:
        common = set(self.train.class_names) & set(self.test.class_names)
        if common:
            raise DataError(
                f"class {min(common)!r} is in both the training and the test images; "
                f"a zero-shot test needs classes never trained on: move it to one side ({len(common)} such classes)."
            )


def require_trainable(table: ImageTable, where: Path) -> None:
    """Refuse a training table that has no negatives or a class without a positive pair. Raises `DataError`."""
    if len(table.class_names) < 2:
        raise DataError(f"{where}: {len(table.class_names)} class to train on; the loss compares at least 2.")
    counts = table.images_per_class()
    if counts.min() < 2:
        alone = int(counts.argmin())
        raise DataError(
            f"{where}: class {table.class_names[alone]!r} has 1 image, and a positive pair needs 2; "
            f"add images or remove the class ({int((counts < 2).sum())} such classes)."
        )
