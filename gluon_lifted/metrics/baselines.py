"""The baseline that an embedding must beat: retrieval by the raw pixels of a thumbnail."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from gluon_lifted.hardware.cpus import usable_cpus
from gluon_lifted.images import Preprocessing, read_image

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from gluon_lifted.images.framing import Box

Image = TypeVar("Image")

THUMBNAIL = 16  # side in pixels
STRETCHED = Preprocessing(resize=THUMBNAIL, crop=THUMBNAIL)


def pixel_thumbnails(
    paths: Sequence[Path],
    threads: int | None = None,
    boxes: Sequence[Box | None] | None = None,
    report: Callable[[int], None] = lambda done: None,
) -> NDArray[np.float32]:
    """Shrink each image to 16 x 16 px and return its pixels as a row.

    Parameters
    ----------
    paths : sequence of Path
        N image files.
    threads : int, optional
        Files to read in parallel; by default one per usable core.
    boxes : sequence, optional
        Used part of each image: left, top, right, bottom in pixels; None for a whole image. By default all are whole.
    report : callable, optional
        Called after each image with the number of images done.

    Returns
    -------
    ndarray, float32, (N, 768)
        RGB of 0-255, thumbnails flattened row by row.

    Raises
    ------
    ImageError
        If a file cannot be read.
    """
    parts = [None] * len(paths) if boxes is None else boxes
    images = list(zip(paths, parts, strict=True))
    return thumbnail_rows(images, lambda image: read_image(image[0], STRETCHED, image[1]), threads, report)


def thumbnail_rows(
    images: Sequence[Image],
    thumbnail: Callable[[Image], NDArray[np.uint8]],
    threads: int | None = None,
    report: Callable[[int], None] = lambda done: None,
) -> NDArray[np.float32]:
    """Return what `pixel_thumbnails` does, of images that are read in another way.

    Parameters
    ----------
    images : sequence
        Anything that ``thumbnail`` takes.
    thumbnail : callable
        Returns an image's thumbnail, (16, 16, 3). Called in threads. An error that it raises ends the work.
    threads, report
        See `pixel_thumbnails`.
    """
    rows = np.empty((len(images), THUMBNAIL * THUMBNAIL * 3), np.float32)
    with ThreadPoolExecutor(threads or usable_cpus()) as pool:
        for index, pixels in enumerate(pool.map(thumbnail, images)):
            rows[index] = pixels.ravel()
            report(index + 1)
    return rows
