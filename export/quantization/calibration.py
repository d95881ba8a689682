"""Read calibration images for int8 from a folder, spread over its sub-folders."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from gluon_lifted.errors import DataError, ImageError
from gluon_lifted.images import IMAGE_SUFFIXES, center_crop, read_image

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from gluon_lifted.images import Preprocessing

MIN_IMAGES = 8
MAX_IMAGES = 200  # more do not bring the embeddings closer to float32


def calibration_images(
    folder: str | os.PathLike[str], preprocessing: Preprocessing, limit: int = MAX_IMAGES
) -> NDArray[np.uint8]:
    """Read up to ``limit`` images, class by class in turn.

    Parameters
    ----------
    folder : path-like
        Holds images, at any depth. Each sub-folder counts as a class.
    preprocessing : Preprocessing
        From the model's card.
    limit : int
        Largest number of images.

    Returns
    -------
    ndarray, uint8, (n, crop, crop, 3)
        RGB, center crops. The choice of images depends only on their names.

    Raises
    ------
    DataError
        If the folder is missing or has fewer than `MIN_IMAGES` readable images.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise DataError(f"{folder}: no such folder; expected a folder of images for --calibration.")
    images: list[NDArray[np.uint8]] = []
    for path in _in_turn(folder):
        if len(images) == limit:
            break
        try:
            images.append(center_crop(read_image(path, preprocessing), preprocessing.crop))
        except ImageError:  # other images will do
            continue
    if len(images) < MIN_IMAGES:
        raise DataError(
            f"{folder}: has {len(images)} readable images, but calibration needs {MIN_IMAGES} or more. Add images."
        )
    return np.stack(images)


def _in_turn(root: Path) -> Iterator[Path]:
    """Yield one image of each sub-folder in turn until all are used, spread evenly over each sub-folder."""
    classes: dict[str, list[Path]] = {}
    for folder, paths in _folders(root):
        if paths:
            classes[folder] = _spread(paths)
    for turn in range(max(map(len, classes.values()), default=0)):
        yield from (paths[turn] for paths in classes.values() if turn < len(paths))


def _folders(root: Path) -> Iterator[tuple[str, list[Path]]]:
    """Yield each folder below ``root`` with its images, parents first. Folders that cannot be listed are skipped.

    Up to Python 3.11, `os.walk` is recursive and fails on deep trees.
    """
    ahead = [os.fspath(root)]
    while ahead:
        folder = ahead.pop()
        try:
            with os.scandir(folder) as listing:
                entries = sorted(listing, key=lambda entry: entry.name)
        except OSError:  # other folders will do
            continue
        yield folder, [Path(entry.path) for entry in entries if Path(entry.name).suffix.lower() in IMAGE_SUFFIXES]
        ahead += [entry.path for entry in reversed(entries) if entry.is_dir(follow_symlinks=False)]


def _spread(paths: list[Path]) -> list[Path]:
    """Reorder paths so that any first few are far apart, as neighboring files are often similar."""
    step = max(1, round(len(paths) * 0.618))
    while np.gcd(step, len(paths)) > 1:
        step += 1
    return [paths[index * step % len(paths)] for index in range(len(paths))]
