"""Path or bytes -> upright RGB -> square."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from PIL import ImageOps

from gluon_lifted.errors import ImageError
from gluon_lifted.images.formats import name_of, open_image
from gluon_lifted.images.framing import (
    box_problem,
    crop_to_box,
    fit_square,
    trim_background,
    upright_size,
)
from gluon_lifted.images.limits import DecodeLimits, check_scans, decoding_bytes
from gluon_lifted.images.pixels import to_rgb
from gluon_lifted.images.samples import stored_samples

if TYPE_CHECKING:
    import os

    from numpy.typing import NDArray
    from PIL import Image

    from gluon_lifted.images.framing import Box
    from gluon_lifted.images.preprocessing import Preprocessing
    from gluon_lifted.images.samples import Samples

JPEG_SCALES = (8, 4, 2)  # 1 / these are the reduced sizes that JPEG can be decoded at
DEFAULT_LIMITS = DecodeLimits()


def read_image(
    source: str | os.PathLike[str] | bytes,
    preprocessing: Preprocessing,
    box: Box | None = None,
    name: str = "",
    limits: DecodeLimits = DEFAULT_LIMITS,
) -> NDArray[np.uint8]:
    """Decode one image, turn it upright, cut out what is used of it and make that a square.

    A JPEG that is used whole is decoded at the smallest of its built-in scales that is no smaller than
    ``preprocessing.resize`` (Pillow's ``draft``): about 5x faster on photographs of 1600x1200 px.

    Parameters
    ----------
    source : path or bytes
        An image file or its content.
    preprocessing : Preprocessing
        Its ``resize``, ``fit`` and ``trim`` are applied; cropping and normalizing come later.
    box : tuple of 4 float, optional
        Left, top, right, bottom in pixels of the upright image: all that is used of it.
    name : str
        What errors call an image that is given by its bytes.
    limits : DecodeLimits
        Bounds on pixels and memory, shared by all threads.

    Returns
    -------
    ndarray, uint8, (resize, resize, 3)
        RGB.

    Raises
    ------
    ImageError
        If the file is missing, empty, truncated, damaged, of none of the formats that are read, has samples without a
        fixed range (signed, floating-point, 32-bit) or is beyond the limits, or if the box does not fit into it.
    """
    called = name_of(source, name)
    with open_image(source, name) as image:
        limits.check_pixels(image, preprocessing.resize, called)
        check_scans(image, called)
        samples = stored_samples(image)
        stored_pixels = image.width * image.height
        cut = box is not None or preprocessing.trim
        if not cut:  # a box and margins are in whole pixels of the original
            _reduce_jpeg(image, preprocessing)
        with limits.memory(decoding_bytes(image, stored_pixels, preprocessing.resize, cut), called):
            _check_box(image, box, called)  # Pillow decodes a PNG to see which way up it is
            return np.asarray(_to_square(image, samples, preprocessing, box))


def check_image(path: str | os.PathLike[str], box: Box | None = None) -> str | None:
    """Open an image file without decoding it; return what is wrong with it or its box, or None."""
    try:
        with open_image(path) as image:
            stored_samples(image)
            _check_box(image, box, name_of(path))
    except ImageError as error:
        return str(error)
    return None


def _check_box(image: Image.Image, box: Box | None, called: str) -> None:
    if box is not None and (problem := box_problem(box, upright_size(image))):
        raise ImageError(f"{called}: {problem}")


def _to_square(image: Image.Image, samples: Samples, preprocessing: Preprocessing, box: Box | None) -> Image.Image:
    ImageOps.exif_transpose(image, in_place=True)
    used = to_rgb(image, samples)
    if box is not None:
        used = crop_to_box(used, box)
    if preprocessing.trim:
        used = trim_background(used)
    return fit_square(used, preprocessing.resize, preprocessing.fit)


def _reduce_jpeg(image: Image.Image, preprocessing: Preprocessing) -> None:
    """Have a JPEG decoded at the smallest of its scales that is large enough; other formats stay as they are."""
    used = min(image.size) if preprocessing.fit == "stretch" else max(image.size)
    for scale in JPEG_SCALES:
        if used >= scale * preprocessing.resize and min(image.size) >= scale:
            image.draft("RGB", (image.width // scale, image.height // scale))
            return
