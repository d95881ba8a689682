"""Path or bytes -> upright RGB -> square."""

from __future__ import annotations

import io
import os
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from gluon_lifted.errors import ImageError
from gluon_lifted.images.framing import box_problem, crop_to_box, fit_square, trim_background, upright_size
from gluon_lifted.images.limits import DecodeLimits, decoding_bytes

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from gluon_lifted.images.framing import Box
    from gluon_lifted.images.preprocessing import Preprocessing

JPEG_SCALES = (8, 4, 2)  # 1 / these are the reduced sizes that JPEG can be decoded at
DEFAULT_LIMITS = DecodeLimits()
IMAGE_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".webp", ".bmp", ".gif", ".tif", ".tiff"})


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
        Its ``resize``, ``fit`` and ``trim`` are applied; cropping and normalising come later.
    box : tuple of 4 float, optional
        Left, top, right, bottom in pixels of the upright image: all that is used of it.
    name : str
        What errors call an image that is given by its bytes.
    limits : DecodeLimits

    Returns
    -------
    ndarray, uint8, (resize, resize, 3)
        RGB.

    Raises
    ------
    ImageError
        If the file is missing, empty, truncated, not an image, has pixels of 32 bits, is beyond the limits,
        or if the box does not fit into it.
    """
    called = (name or f"{len(source)} bytes in memory") if isinstance(source, bytes) else os.fspath(source)
    try:
        with Image.open(io.BytesIO(source) if isinstance(source, bytes) else source) as image:
            limits.check_pixels(image, preprocessing.resize, called)
            if box is not None and (problem := box_problem(box, upright_size(image))):
                raise ImageError(f"{called}: {problem}")
            stored_pixels = image.width * image.height
            cut = box is not None or preprocessing.trim
            if not cut:  # a box and margins are in whole pixels of the original
                _reduce_jpeg(image, preprocessing)
            with limits.memory(decoding_bytes(image, stored_pixels, preprocessing.resize, cut), called):
                square = _to_square(image, preprocessing, box)
    except UnidentifiedImageError:
        raise ImageError(f"{called}: not an image that Pillow can read.") from None
    except (OSError, ValueError, SyntaxError, EOFError, Image.DecompressionBombError) as error:
        raise ImageError(f"{called}: cannot be read ({error}).") from error
    return np.asarray(square)


def check_image(path: str | os.PathLike[str], box: Box | None = None) -> str | None:
    """Open an image file without decoding it; return what is wrong with it or its box, or None."""
    try:
        with Image.open(path) as image:
            problem = box_problem(box, upright_size(image)) if box is not None else None
    except (OSError, ValueError, SyntaxError, EOFError, Image.DecompressionBombError) as error:
        return f"{os.fspath(path)}: not a readable image ({type(error).__name__})."
    return f"{os.fspath(path)}: {problem}" if problem else None


def _to_square(image: Image.Image, preprocessing: Preprocessing, box: Box | None) -> Image.Image:
    ImageOps.exif_transpose(image, in_place=True)
    used = _as_rgb(image)
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


def _as_rgb(image: Image.Image) -> Image.Image:
    """Any mode to RGB: transparency over white, 16-bit grey scaled to 8 bits. Refuses 32-bit grey."""
    if image.mode in ("I", "F"):  # Pillow would cut off at 255
        raise ValueError("32-bit pixels have no fixed range; save it with 8 or 16 bits")
    if image.mode.startswith("I;16"):
        image = Image.fromarray((np.asarray(image) >> 8).astype(np.uint8))
    if image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info:
        rgba = image.convert("RGBA")
        white = Image.new("RGBA", rgba.size, "white")
        white.alpha_composite(rgba)
        return white.convert("RGB")
    return image if image.mode == "RGB" else image.convert("RGB")
