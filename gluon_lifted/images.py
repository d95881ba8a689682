"""Path or bytes -> upright RGB -> resized, cropped, normalised array: the one preprocessing of the project.

Training, freezing, serving and evaluation all call these functions, so that a model sees the same pixels
everywhere.
"""

from __future__ import annotations

import io
import math
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from gluon_lifted.errors import ConfigError, ImageError

if TYPE_CHECKING:
    from numpy.typing import NDArray

MAX_PIXELS = 178_956_970  # half a GiB as RGB; where Pillow itself refuses a decompression bomb
IMAGE_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".webp", ".bmp", ".gif", ".tif", ".tiff"})


@dataclass(frozen=True)
class Preprocessing:
    """How an image becomes network input.

    Parameters
    ----------
    resize : int
        Pixels. The whole image is stretched to ``resize`` x ``resize``; "normalized to 256 by 256" in Song et
        al. 2016, whose re-implementations ignore the aspect ratio.
    crop : int
        Pixels. Side of the square cut out: at random in training, centred otherwise (227 of 256 in the
        authors' ``train_val`` prototxt).
    channels : str
        ``"RGB"`` or ``"BGR"`` (Caffe's order).
    mean, std : tuple of 3 float
        Subtracted from, then divided into pixels of 0-255, in the order of ``channels``. Defaults: the
        ImageNet statistics 0.485, 0.456, 0.406 / 0.229, 0.224, 0.225 times 255, as GluonCV's models expect.
    """

    resize: int = 256
    crop: int = 227
    channels: str = "RGB"
    mean: tuple[float, float, float] = (123.675, 116.28, 103.53)
    std: tuple[float, float, float] = (58.395, 57.12, 57.375)

    def __post_init__(self) -> None:
        if not 1 <= self.crop <= self.resize <= 4096:
            raise ConfigError(
                f"crop {self.crop} and resize {self.resize} px do not fit; 1 <= crop <= resize <= 4096 must hold."
            )
        if self.channels not in ("RGB", "BGR"):
            raise ConfigError(f"channel order {self.channels!r} is unknown; use 'RGB' or 'BGR'.")
        finite = all(math.isfinite(value) for value in (*self.mean, *self.std))
        if len(self.mean) != 3 or len(self.std) != 3 or not finite or min(self.std) <= 0:
            raise ConfigError(f"mean {self.mean} and std {self.std} need three finite values each, std above 0.")


def read_image(source: str | os.PathLike[str] | bytes, resize: int) -> NDArray[np.uint8]:
    """Decode one image, turn it upright and stretch it to a square.

    JPEG is decoded at the smallest of its built-in scales that is no smaller than ``resize`` (Pillow's
    ``draft``): about 5x faster on photographs of 1600x1200 px.

    Parameters
    ----------
    source : path or bytes
        An image file or its content.
    resize : int
        Side in pixels.

    Returns
    -------
    ndarray, uint8, (resize, resize, 3)
        RGB.

    Raises
    ------
    ImageError
        If the file is missing, empty, truncated, not an image, has more than ``MAX_PIXELS`` pixels, or pixels of
        32 bits.
    """
    name = f"{len(source)} bytes in memory" if isinstance(source, bytes) else os.fspath(source)
    try:
        with Image.open(io.BytesIO(source) if isinstance(source, bytes) else source) as image:
            if image.width * image.height > MAX_PIXELS:
                raise ImageError(f"{name}: {image.width} x {image.height} px is more than the limit of {MAX_PIXELS}.")
            image.draft("RGB", (resize, resize))
            upright = _as_rgb(ImageOps.exif_transpose(image))
            square = upright.resize((resize, resize), Image.Resampling.BILINEAR)
    except UnidentifiedImageError:
        raise ImageError(f"{name}: not an image that Pillow can read.") from None
    except (OSError, ValueError, SyntaxError, EOFError, Image.DecompressionBombError) as error:
        raise ImageError(f"{name}: cannot be read ({error}).") from error
    return np.asarray(square)


def check_image(path: str | os.PathLike[str]) -> str | None:
    """Open an image file without decoding it; return what is wrong with it, or None."""
    try:
        with Image.open(path):
            return None
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        return f"{os.fspath(path)}: not a readable image ({type(error).__name__})."


def _as_rgb(image: Image.Image) -> Image.Image:
    """Any mode to RGB: transparency over white, 16-bit grey scaled to 8 bits. Refuses 32-bit grey."""
    if image.mode in ("I", "F"):  # Pillow would cut off at 255
        raise ValueError("32-bit pixels have no fixed range; save it with 8 or 16 bits")
    if image.mode.startswith("I;16"):
        image = Image.fromarray((np.asarray(image) >> 8).astype(np.uint8))
    if image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info:
        rgba = image.convert("RGBA")
        white = Image.new("RGBA", rgba.size, "white")
        return Image.alpha_composite(white, rgba).convert("RGB")
    return image.convert("RGB")


def center_crop(image: NDArray[np.uint8], crop: int) -> NDArray[np.uint8]:
    """Cut the centre: (H, W, 3) -> (crop, crop, 3), a view. Offset ``(H - crop) // 2``, as Caffe's."""
    top, left = (image.shape[0] - crop) // 2, (image.shape[1] - crop) // 2
    return image[top : top + crop, left : left + crop]


def random_crop_mirror(image: NDArray[np.uint8], crop: int, rng: np.random.Generator) -> NDArray[np.uint8]:
    """Cut at a uniform random offset and mirror with probability 1/2: (H, W, 3) -> (crop, crop, 3), a view."""
    top, left = rng.integers(image.shape[0] - crop + 1), rng.integers(image.shape[1] - crop + 1)
    cut = image[top : top + crop, left : left + crop]
    return cut[:, ::-1] if rng.random() < 0.5 else cut


def normalise(pixels: NDArray[np.uint8], preprocessing: Preprocessing) -> NDArray[np.float32]:
    """Turn cropped pixels into network input.

    Parameters
    ----------
    pixels : ndarray, uint8, (N, H, W, 3)
        RGB.

    Returns
    -------
    ndarray, float32, (N, 3, H, W)
        ``(pixels - mean) / std`` in the card's channel order, contiguous.
    """
    planes = pixels.transpose(0, 3, 1, 2)  # (N, H, W, 3) -> (N, 3, H, W), a view
    if preprocessing.channels == "BGR":
        planes = planes[:, ::-1]
    scale = (1 / np.asarray(preprocessing.std, np.float32))[:, None, None]  # (3, 1, 1)
    shift = np.asarray(preprocessing.mean, np.float32)[:, None, None] * scale
    batch: NDArray[np.float32] = np.empty(planes.shape, np.float32)
    np.multiply(planes, scale, out=batch)
    batch -= shift
    return batch


def preprocessing_from_json(fields: dict[str, Any]) -> Preprocessing:
    """Rebuild a `Preprocessing` from a card. Raises `ConfigError` if a field is missing, unknown or mistyped."""
    try:
        return Preprocessing(
            resize=int(fields["resize"]),
            crop=int(fields["crop"]),
            channels=str(fields["channels"]),
            mean=tuple(float(x) for x in fields["mean"]),  # type: ignore[arg-type]  # length checked on construction
            std=tuple(float(x) for x in fields["std"]),  # type: ignore[arg-type]
        )
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise ConfigError(f"the card's preprocessing is damaged ({error!r}): {fields!r:.200}") from None
