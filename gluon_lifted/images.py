"""Path or bytes -> upright RGB -> square, cropped, normalised array: the one preprocessing of the project.

Training, freezing, serving and evaluation all call these functions, so that a model sees the same pixels
everywhere.
"""

from __future__ import annotations

import io
import math
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from gluon_lifted.errors import ConfigError, ImageError
from gluon_lifted.framing import FITS, box_problem, crop_to_box, fit_square, trim_background, upright_size

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from gluon_lifted.framing import Box

Value = TypeVar("Value", bound=np.generic)  # of pixels, or of what is subtracted from them
MAX_PIXELS = 178_956_970  # half a GiB as RGB; where Pillow itself refuses a decompression bomb
JPEG_SCALES = (8, 4, 2)  # 1 / these are the reduced sizes that JPEG can be decoded at
IMAGE_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".webp", ".bmp", ".gif", ".tif", ".tiff"})


@dataclass(frozen=True)
class Preprocessing:
    """How an image becomes network input.

    Parameters
    ----------
    resize : int
        Pixels. Side of the square that an image becomes; "normalized to 256 by 256" in Song et al. 2016.
    crop : int
        Pixels. Side of the square cut out: at random in training, centred otherwise (227 of 256 in the
        authors' ``train_val`` prototxt).
    channels : str
        ``"RGB"`` or ``"BGR"`` (Caffe's order).
    mean, std : tuple of 3 float
        Subtracted from, then divided into pixels of 0-255, in the order of ``channels``. Defaults: the
        ImageNet statistics 0.485, 0.456, 0.406 / 0.229, 0.224, 0.225 times 255, as GluonCV's models expect.
    fit : str
        ``"stretch"``: the aspect ratio is given up, as the paper's re-implementations do. ``"pad"``: the longer
        side becomes ``resize``, and white fills up the shorter one, as the authors do it for Stanford Online
        Products (``load_cropped_images.m``).
    trim : bool
        Before that, cut off the white background around the object; the authors' other step for those images.
    """

    resize: int = 256
    crop: int = 227
    channels: str = "RGB"
    mean: tuple[float, float, float] = (123.675, 116.28, 103.53)
    std: tuple[float, float, float] = (58.395, 57.12, 57.375)
    fit: str = "stretch"
    trim: bool = False

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
        if self.fit not in FITS:
            raise ConfigError(f"fit {self.fit!r} is unknown; use {' or '.join(map(repr, FITS))}.")


def read_image(
    source: str | os.PathLike[str] | bytes, preprocessing: Preprocessing, box: Box | None = None
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

    Returns
    -------
    ndarray, uint8, (resize, resize, 3)
        RGB.

    Raises
    ------
    ImageError
        If the file is missing, empty, truncated, not an image, has more than ``MAX_PIXELS`` pixels, or pixels of
        32 bits, or if the box does not fit into it.
    """
    name = f"{len(source)} bytes in memory" if isinstance(source, bytes) else os.fspath(source)
    try:
        with Image.open(io.BytesIO(source) if isinstance(source, bytes) else source) as image:
            if image.width * image.height > MAX_PIXELS:
                raise ImageError(f"{name}: {image.width} x {image.height} px is more than the limit of {MAX_PIXELS}.")
            if box is not None and (problem := box_problem(box, upright_size(image))):
                raise ImageError(f"{name}: {problem}")
            if box is None and not preprocessing.trim:  # those are in whole pixels of the original
                _reduce_jpeg(image, preprocessing)
            used = _as_rgb(ImageOps.exif_transpose(image))
            if box is not None:
                used = crop_to_box(used, box)
            if preprocessing.trim:
                used = trim_background(used)
            square = fit_square(used, preprocessing.resize, preprocessing.fit)
    except UnidentifiedImageError:
        raise ImageError(f"{name}: not an image that Pillow can read.") from None
    except (OSError, ValueError, SyntaxError, EOFError, Image.DecompressionBombError) as error:
        raise ImageError(f"{name}: cannot be read ({error}).") from error
    return np.asarray(square)


def check_image(path: str | os.PathLike[str], box: Box | None = None) -> str | None:
    """Open an image file without decoding it; return what is wrong with it or its box, or None."""
    try:
        with Image.open(path) as image:
            problem = box_problem(box, upright_size(image)) if box is not None else None
    except (OSError, ValueError, SyntaxError, EOFError, Image.DecompressionBombError) as error:
        return f"{os.fspath(path)}: not a readable image ({type(error).__name__})."
    return f"{os.fspath(path)}: {problem}" if problem else None


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
        return Image.alpha_composite(white, rgba).convert("RGB")
    return image.convert("RGB")


def center_crop(image: NDArray[Value], crop: int) -> NDArray[Value]:
    """Cut the centre: (H, W, 3) -> (crop, crop, 3), a view. Offset ``(H - crop) // 2``, as Caffe's."""
    top, left = (image.shape[0] - crop) // 2, (image.shape[1] - crop) // 2
    return image[top : top + crop, left : left + crop]


def random_crop_mirror(image: NDArray[Value], crop: int, rng: np.random.Generator) -> NDArray[Value]:
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
            fit=str(fields["fit"]),
            trim=_true_or_false(fields["trim"]),
        )
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise ConfigError(f"the card's preprocessing is damaged ({error!r}): {fields!r:.200}") from None


def _true_or_false(value: object) -> bool:
    if not isinstance(value, bool):
        raise TypeError(f"trim is {value!r:.100}, expected true or false")
    return value
