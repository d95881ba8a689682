"""Decoded pixels of any mode -> RGB of 8 bits.

More than 8 bits lose their low bits. Transparency is laid over white. ICC profiles, gamma and white points are not
applied: values are taken as they are stored. L*a*b* becomes sRGB.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from gluon_lifted.images.samples import Samples

STRAIGHT = {"La": "LA", "RGBa": "RGBA"}  # modes with premultiplied alpha, and those without


def to_rgb(image: Image.Image, samples: Samples) -> Image.Image:
    """Convert a decoded image.

    Parameters
    ----------
    image : Image
        An image of any mode.
    samples : Samples
        What its header said.

    Raises
    ------
    ValueError
        If its mode has no fixed range, or Pillow cannot convert it.
    """
    if image.mode == "F" or (image.mode == "I" and samples.bits != 16):  # PNG of 16 bits is I before Pillow 11
        raise ValueError("32-bit pixels have no fixed range; save it with 8 or unsigned 16 bits")
    if image.mode.startswith("I") or samples.transparent is not None:
        image = Image.fromarray(_gray(image, samples))
    if image.mode in STRAIGHT:
        image = image.convert(STRAIGHT[image.mode])
    if image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info:
        rgba = image.convert("RGBA")
        white = Image.new("RGBA", rgba.size, "white")
        white.alpha_composite(rgba)
        return white.convert("RGB")
    return image if image.mode == "RGB" else image.convert("RGB")


def _gray(image: Image.Image, samples: Samples) -> NDArray[np.uint8]:
    """Gray of any depth to 8 bits, (H, W); pixels of the transparent value become white."""
    key = samples.transparent
    if image.mode.startswith("I"):
        stored = np.asarray(image)
        gray = (stored >> (samples.bits - 8)).astype(np.uint8)
    else:  # Pillow has scaled it to 8 bits already
        stored = gray = np.array(image.convert("L"))
        key = None if key is None else key * 255 // ((1 << samples.bits) - 1)
    if samples.inverted:
        np.invert(gray, out=gray)
    if key is not None:
        gray[stored == key] = 255
    return gray
