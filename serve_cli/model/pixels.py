"""Check the pixels that an `Embedder` is given."""

from __future__ import annotations

import numpy as np

from gluon_lifted.errors import ConfigError


def check_pixels(pixels: object, crop: int) -> None:
    """Raise `ConfigError` unless these are cropped images, uint8, (N, crop, crop, 3).

    Other types must be refused here: a network accepts floats in [0, 1] as well and returns a wrong embedding.
    """
    described = " ".join(
        f"{type(pixels).__name__} {getattr(pixels, 'dtype', '')} {getattr(pixels, 'shape', '')}".split()
    )
    problem = f"pixels are {described}; expected a NumPy array of uint8, (N, {crop}, {crop}, 3), RGB, 0 to 255."
    if not isinstance(pixels, np.ndarray) or pixels.shape[1:] != (crop, crop, 3):
        raise ConfigError(f"{problem} {_shape_hint(pixels, crop)}")
    if pixels.dtype != np.uint8:
        scaled = np.issubdtype(pixels.dtype, np.floating) and pixels.size and np.abs(pixels).max() <= 1
        hint = "Multiply by 255 and round" if scaled else "Round to whole numbers"
        raise ConfigError(f"{problem} {hint}; the model normalizes pixels itself.")


def _shape_hint(pixels: object, crop: int) -> str:
    """Suggest how to fix pixels of another shape."""
    shape = getattr(pixels, "shape", ())
    if shape == (crop, crop, 3):
        return "For a single image, pass image[None]."
    if shape[1:] == (3, crop, crop):
        return "Move the channels last: pixels.transpose(0, 2, 3, 1)."
    return "Resize and crop images as the model card says."
