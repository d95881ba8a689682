"""The baseline that an embedding must beat: retrieval by the raw pixels of a thumbnail."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import numpy as np

from gluon_lifted.hardware.cpus import usable_cpus
from gluon_lifted.images import Preprocessing, read_image

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from gluon_lifted.images.framing import Box

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
    rows = np.empty((len(paths), THUMBNAIL * THUMBNAIL * 3), np.float32)
    parts = [None] * len(paths) if boxes is None else boxes
    with ThreadPoolExecutor(threads or usable_cpus()) as pool:
        thumbnails = pool.map(lambda path, box: read_image(path, STRETCHED, box), paths, parts)
        for index, thumbnail in enumerate(thumbnails):
            rows[index] = thumbnail.ravel()
            report(index + 1)
    return rows
