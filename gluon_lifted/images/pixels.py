"""Convert decoded pixels of any mode to 8-bit RGB.

Deeper samples lose their low bits. Transparent pixels are composited over white. ICC profiles, gamma and white points
are not applied: values are used as stored. L*a*b* becomes sRGB.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from gluon_lifted.images.samples import Samples

STRAIGHT = {"La": "LA", "RGBa": "RGBA"}  # modes with premultiplied alpha -> modes with straight alpha


def to_rgb(image: Image.Image, samples: Samples) -> Image.Image:
    """Convert a decoded image.

    Parameters
    ----------
    image : Image
        Image of any mode.
    samples : Samples
        How the header describes its samples.

    Raises
    ------
    ValueError
        If its mode has no fixed range, or Pillow cannot convert it.
    """
    if image.mode == "F" or (image.mode == "I" and samples.bits != 16):  # a 16-bit PNG has mode I before Pillow 11
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
    """Convert gray of any depth to 8 bits, (H, W). Pixels of the transparent value become white."""
    key = samples.transparent
    if image.mode.startswith("I"):
        stored = np.asarray(image)
        gray = (stored >> (samples.bits - 8)).astype(np.uint8)
    else:  # Pillow has already scaled it to 8 bits
        stored = gray = np.array(image.convert("L"))
        key = None if key is None else key * 255 // ((1 << samples.bits) - 1)
    if samples.inverted:
        np.invert(gray, out=gray)
    if key is not None:
        gray[stored == key] = 255
    return gray
