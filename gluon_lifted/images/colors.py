"""Color normalizations, by name or spelled out: channel order, mean, scale."""

from __future__ import annotations

import difflib
import math
from typing import TYPE_CHECKING, NamedTuple

from gluon_lifted.errors import ConfigError
from gluon_lifted.images.interpolations import DEFAULT_INTERPOLATION

if TYPE_CHECKING:
    from gluon_lifted.config.train_config import TrainConfig
    from gluon_lifted.images.preprocessing import Preprocessing


class Colors(NamedTuple):
    """A normalization ``(pixels - mean) / std`` of pixels of 0-255. Mean and std are in the order of ``channels``."""

    channels: str
    mean: tuple[float, float, float]
    std: tuple[float, float, float]


COLORS = {
    # ImageNet's statistics times 255, as GluonCV's networks were trained
    "imagenet": Colors("RGB", (123.675, 116.28, 103.53), (58.395, 57.12, 57.375)),
    # mean_value of bvlc_googlenet's train_val.prototxt
    "caffe": Colors("BGR", (104.0, 117.0, 123.0), (1.0, 1.0, 1.0)),
    # -1 to 1, as torchvision's googlenet, whose weights are from TensorFlow, transforms its input (transform_input)
    "inception": Colors("RGB", (127.5, 127.5, 127.5), (127.5, 127.5, 127.5)),
}


def colors_of(text: str) -> Colors:
    """Return the colors that `spell_colors` wrote: a key of `COLORS`, or ``CHANNELS:MEAN:STD``.

    Raises
    ------
    ConfigError
        If the text is neither.

    Examples
    --------
    >>> colors_of("RGB:0,0,0:255,255,255").std
    (255.0, 255.0, 255.0)
    """
    if text in COLORS:
        return COLORS[text]
    parts = text.split(":")
    try:
        channels, mean, std = parts[0], _three(parts[1]), _three(parts[2])
    except (IndexError, ValueError):
        channels = ""
    if len(parts) != 3 or channels not in ("RGB", "BGR") or min(std) <= 0:
        close = difflib.get_close_matches(text, COLORS, 1)
        hint = f" Did you mean {close[0]}?" if close else ""
        raise ConfigError(
            f"colors {text!r:.100} are unknown.{hint} Choose one of {', '.join(COLORS)}, or give CHANNELS:MEAN:STD for "
            "pixels of 0-255, such as RGB:127.5,127.5,127.5:64,64,64."
        )
    return Colors(channels, mean, std)


def spell_colors(colors: Colors) -> str:
    """Return a text for `colors_of`: the name, or ``CHANNELS:MEAN:STD`` of colors without one."""
    for name, known in COLORS.items():
        if colors == known:
            return name
    return ":".join([colors.channels, *(",".join(f"{value:.15g}" for value in row) for row in colors[1:])])


def _three(text: str) -> tuple[float, float, float]:
    """Read three finite numbers. Raises `ValueError` for anything else."""
    red, green, blue = (float(value) for value in text.split(","))
    if not math.isfinite(red + green + blue):
        raise ValueError(text)
    return red, green, blue


def preprocessing_of(config: TrainConfig) -> Preprocessing:
    """Build the preprocessing of a run. Without pretrained weights ``auto`` means ``imagenet`` and ``bilinear``."""
    from gluon_lifted.images.preprocessing import Preprocessing

    return Preprocessing(
        resize=config.resize,
        crop=config.crop,
        fit=config.fit,
        trim=config.trim,
        interpolation=DEFAULT_INTERPOLATION if config.interpolation == "auto" else config.interpolation,
        **colors_of("imagenet" if config.colors == "auto" else config.colors)._asdict(),
    )
