"""Preprocessing of images into network input: resizing, cropping, normalization."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from gluon_lifted.errors import ConfigError
from gluon_lifted.images.fits import FITS
from gluon_lifted.images.interpolations import DEFAULT_INTERPOLATION, INTERPOLATIONS

if TYPE_CHECKING:
    from numpy.typing import NDArray


Value = TypeVar("Value", bound=np.generic)  # dtype of pixels, or of a mean image


@dataclass(frozen=True)
class Preprocessing:
    """Settings that turn an image into network input.

    Parameters
    ----------
    resize : int
        Side of the square that an image is resized to, in pixels; "normalized to 256 by 256" in Song et al. 2016.
    crop : int
        Side of the square crop in pixels: at random in training, centered otherwise (227 of 256 in the authors'
        ``train_val`` prototxt).
    channels : str
        ``"RGB"`` or ``"BGR"`` (Caffe's order).
    mean, std : tuple of 3 float
        Input is ``(pixels - mean) / std`` of pixels of 0-255, in the order of ``channels``. Defaults: the ImageNet
        statistics 0.485, 0.456, 0.406 / 0.229, 0.224, 0.225 times 255, as GluonCV's models expect.
    fit : str
        ``"stretch"`` ignores the aspect ratio, as re-implementations of the paper do. ``"pad"`` resizes the longer
        side to ``resize`` and pads the shorter one with white, as the authors do for Stanford Online Products
        (``load_cropped_images.m``). ``"cover"`` resizes the shorter side to ``resize`` and cuts off what is outside of
        the central square, as torchvision and GluonCV do to evaluate on ImageNet.
    trim : bool
        Before resizing, cut off the white background around the object, as the authors do for the same images.
    interpolation : str
        ``"bilinear"`` or ``"bicubic"``, both antialiased. Bicubic is Matlab's ``imresize`` (a = -0.5), which the
        authors used. After rounding to 8 bits, photographs agree with it to 1 of 255, except for the outermost pixels:
        Matlab mirrors an image at its edges, here the kernel is cut off (up to 21 measured, 0.3 on average).
    """

    resize: int = 256
    crop: int = 227
    channels: str = "RGB"
    mean: tuple[float, float, float] = (123.675, 116.28, 103.53)
    std: tuple[float, float, float] = (58.395, 57.12, 57.375)
    fit: str = "stretch"
    trim: bool = False
    interpolation: str = DEFAULT_INTERPOLATION

    def __post_init__(self) -> None:
        if not 1 <= self.crop <= self.resize <= 4096:
            raise ConfigError(
                f"crop is {self.crop} px and resize is {self.resize} px; expected 1 <= crop <= resize <= 4096."
            )
        if self.channels not in ("RGB", "BGR"):
            raise ConfigError(f"channel order is {self.channels!r}; expected 'RGB' or 'BGR'.")
        finite = all(math.isfinite(value) for value in (*self.mean, *self.std))
        if len(self.mean) != 3 or len(self.std) != 3 or not finite or min(self.std) <= 0:
            raise ConfigError(
                f"mean is {self.mean} and std is {self.std}; expected three finite numbers each, with std above 0."
            )
        if self.fit not in FITS:
            raise ConfigError(f"fit {self.fit!r} is unknown. Choose one of {', '.join(map(repr, FITS))}.")
        if self.interpolation not in INTERPOLATIONS:
            known = ", ".join(map(repr, INTERPOLATIONS))
            raise ConfigError(f"interpolation {self.interpolation!r} is unknown. Choose one of {known}.")


def center_crop(image: NDArray[Value], crop: int) -> NDArray[Value]:
    """Cut the center: (H, W, 3) -> (crop, crop, 3), a view. The offset is ``(H - crop) // 2``, as in Caffe."""
    top, left = (image.shape[0] - crop) // 2, (image.shape[1] - crop) // 2
    return image[top : top + crop, left : left + crop]


def normalize(pixels: NDArray[np.uint8], preprocessing: Preprocessing) -> NDArray[np.float32]:
    """Turn cropped pixels into network input.

    Parameters
    ----------
    pixels : ndarray, uint8, (N, H, W, 3)
        RGB.

    Returns
    -------
    ndarray, float32, (N, 3, H, W)
        ``(pixels - mean) / std`` in the order of ``preprocessing.channels``, contiguous.
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


def denormalize(batch: NDArray[np.float32], preprocessing: Preprocessing) -> NDArray[np.uint8]:
    """Invert `normalize`: float32 (N, 3, H, W) -> uint8 (N, H, W, 3) RGB, rounded."""
    scale, shift = (
        np.asarray(statistic, np.float32)[:, None, None] for statistic in (preprocessing.std, preprocessing.mean)
    )
    planes = np.clip(np.rint(batch * scale + shift), 0, 255).astype(np.uint8)
    if preprocessing.channels == "BGR":
        planes = planes[:, ::-1]
    return np.ascontiguousarray(planes.transpose(0, 2, 3, 1))


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
            trim=_boolean(fields["trim"]),
            interpolation=str(fields["interpolation"]),
        )
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise ConfigError(f"the card's preprocessing is damaged ({error!r}): {fields!r:.200}") from None


def _boolean(value: object) -> bool:
    if not isinstance(value, bool):
        raise TypeError(f"trim is {value!r:.100}, expected true or false")
    return value
