"""Random changes of training images, by name."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from PIL import Image

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

Value = TypeVar("Value", bound=np.generic)  # dtype of pixels, or of a mean image
SMALLEST_AREA = 0.2  # share of the square that a crop keeps
LARGEST_ASPECT = 4 / 3  # of the longer to the shorter side of a crop
TRIES = 10  # crops drawn until one fits


def random_crop_mirror(image: NDArray[Value], crop: int, rng: np.random.Generator) -> NDArray[Value]:
    """Cut at a uniform random offset and mirror with probability 1/2: (H, W, 3) -> (crop, crop, 3), a view."""
    top, left = rng.integers(image.shape[0] - crop + 1), rng.integers(image.shape[1] - crop + 1)
    cut = image[top : top + crop, left : left + crop]
    return cut[:, ::-1] if rng.random() < 0.5 else cut


def random_resized_crop_mirror(image: NDArray[np.uint8], crop: int, rng: np.random.Generator) -> NDArray[np.uint8]:
    """Cut a rectangle of random area, aspect ratio and position, resize it, and mirror with probability 1/2.

    Szegedy et al. 2015 ("Going deeper with convolutions", section 6): a uniform distribution of areas, and of aspect
    ratios between 3/4 and 4/3. Their smallest area is 8 %. Metric learning needs more of the object.

    Returns
    -------
    ndarray, uint8, (crop, crop, 3)
    """
    height, width = image.shape[:2]
    for _ in range(TRIES):
        area = rng.uniform(SMALLEST_AREA, 1) * height * width
        aspect = LARGEST_ASPECT ** rng.uniform(-1, 1)  # width / height
        w, h = round(math.sqrt(area * aspect)), round(math.sqrt(area / aspect))
        if w <= width and h <= height:
            break
    else:
        w, h = width, height
    left, top = rng.integers(width - w + 1), rng.integers(height - h + 1)
    box = (int(left), int(top), int(left) + w, int(top) + h)
    cut = np.asarray(Image.fromarray(image).resize((crop, crop), Image.Resampling.BILINEAR, box=box))
    return cut[:, ::-1] if rng.random() < 0.5 else cut


AUGMENTATIONS: dict[str, Callable[[Any, int, np.random.Generator], Any]] = {
    "paper": random_crop_mirror,
    "standard": random_resized_crop_mirror,
}
