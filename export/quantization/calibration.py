"""Images to calibrate int8 with: some of a folder's, from as many of its sub-folders as there are."""

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
MAX_IMAGES = 200  # cosines to single precision are no better with more


def calibration_images(
    folder: str | os.PathLike[str], preprocessing: Preprocessing, limit: int = MAX_IMAGES
) -> NDArray[np.uint8]:
    """Read up to ``limit`` images, class by class in turn.

    Parameters
    ----------
    folder : Path
        Images below it; those of one sub-folder count as a class.
    preprocessing : Preprocessing
        Of the model's card.
    limit : int

    Returns
    -------
    ndarray, uint8, (n, crop, crop, 3)
        RGB, cropped in the middle. Which ones depends on the names alone.

    Raises
    ------
    DataError
        If the folder is missing, or has fewer than `MIN_IMAGES` that can be read.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise DataError(f"{folder}: no such folder; expected images to calibrate with.")
    images: list[NDArray[np.uint8]] = []
    for path in _in_turn(folder):
        if len(images) == limit:
            break
        try:
            images.append(center_crop(read_image(path, preprocessing), preprocessing.crop))
        except ImageError:  # calibration needs some images, not these
            continue
    if len(images) < MIN_IMAGES:
        raise DataError(f"{folder}: {len(images)} images that can be read; calibration needs {MIN_IMAGES} or more.")
    return np.stack(images)


def _in_turn(root: Path) -> Iterator[Path]:
    """The first image of each sub-folder, the second of each, and so on; of many images evenly spread ones."""
    classes: dict[str, list[Path]] = {}
    for folder, paths in _folders(root):
        if paths:
            classes[folder] = _spread(paths)
    for turn in range(max(map(len, classes.values()), default=0)):
        yield from (paths[turn] for paths in classes.values() if turn < len(paths))


def _folders(root: Path) -> Iterator[tuple[str, list[Path]]]:
    """A folder and all below it, each before those in it, with its images. What cannot be listed is left out.

    `os.walk` calls itself for each level up to Python 3.11.
    """
    ahead = [os.fspath(root)]
    while ahead:
        folder = ahead.pop()
        try:
            with os.scandir(folder) as listing:
                entries = sorted(listing, key=lambda entry: entry.name)
        except OSError:  # calibration needs some images, not these
            continue
        yield folder, [Path(entry.path) for entry in entries if Path(entry.name).suffix.lower() in IMAGE_SUFFIXES]
        ahead += [entry.path for entry in reversed(entries) if entry.is_dir(follow_symlinks=False)]


def _spread(paths: list[Path]) -> list[Path]:
    """The same, so that the first few of them are far apart: files in a row are often alike."""
    step = max(1, round(len(paths) * 0.618))
    while np.gcd(step, len(paths)) > 1:
        step += 1
    return [paths[index * step % len(paths)] for index in range(len(paths))]
