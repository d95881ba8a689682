"""The preprocessing that publishers of networks used, by name. Nothing heavy is imported before one is built."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from gluon_lifted.images.colors import COLORS, Colors

if TYPE_CHECKING:
    from collections.abc import Callable

    from gluon_lifted.images.preprocessing import Preprocessing


class Preset(NamedTuple):
    """Colors, how an image becomes a square, the side of that square for a crop, and a short help text.

    All of these publishers resize by bilinear interpolation. timm's weights name theirs.
    """

    colors: Colors
    fit: str
    resize: Callable[[int], int]
    help: str


def _imagenet_side(crop: int) -> int:
    """256 for 224 px: the share of 0.875 that GluonCV's and torchvision's evaluation crops."""
    return round(crop / 0.875)


PRESETS = {
    "imagenet": Preset(COLORS["imagenet"], "cover", _imagenet_side, "RGB, ImageNet's mean and std"),
    "gluoncv": Preset(COLORS["imagenet"], "cover", _imagenet_side, "same as imagenet"),
    # face_model.py of InsightFace passes RGB of 0-255: its networks subtract and scale themselves
    "insightface": Preset(Colors("RGB", (0, 0, 0), (1, 1, 1)), "stretch", lambda crop: crop, "faces; same as raw"),
    "caffe": Preset(COLORS["caffe"], "stretch", lambda crop: max(crop, 256), "BGR, mean subtracted"),
    "0-1": Preset(Colors("RGB", (0, 0, 0), (255, 255, 255)), "stretch", lambda crop: crop, "RGB, 0 to 1"),
    "raw": Preset(Colors("RGB", (0, 0, 0), (1, 1, 1)), "stretch", lambda crop: crop, "RGB, 0 to 255"),
}


def preset(name: str, crop: int) -> Preprocessing:
    """Build the preprocessing of a key of `PRESETS` for crops of ``crop`` px."""
    from gluon_lifted.images.preprocessing import Preprocessing

    chosen = PRESETS[name]
    return Preprocessing(resize=chosen.resize(crop), crop=crop, fit=chosen.fit, **chosen.colors._asdict())
