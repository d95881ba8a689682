"""Backbones by name: ours, and every classification network of GluonCV."""

from __future__ import annotations

import difflib
import re
from typing import TYPE_CHECKING, Any, NamedTuple

from gluon_lifted.errors import ConfigError
from gluon_lifted.mx import gluoncv_network, gluoncv_zoo, mx
from gluon_lifted.networks.googlenet import GoogLeNet
from gluon_lifted.networks.headless import SIDE, accepts, headless

if TYPE_CHECKING:
    from collections.abc import Callable

# Name parts of other networks in GluonCV's zoo: detection, segmentation, pose, video, tracking, depth, int8-only
# networks, and two whose group normalization MXNet 1.9 refuses.
NOT_CLASSIFIERS = re.compile(
    r"_(voc|coco|ade|citys|mhpv1|custom|ucf101|hmdb51|kinetics\d+|sthsthv2|otb15|int8|s|gn)(_|$)"
    r"|rcnn|pose|kitti"
)
LARGER_CROPS = 256  # pixels; range of the search for a crop that a network accepts
# GluonCV's MobileNetV3 has a hidden layer of 1280 after the pooling. torchvision's has a bias, or another width.
CLASSIFIER_LAYERS = {"mobilenetv3_large": 2, "mobilenetv3_small": 2}
CIFAR_SIDE = 32  # pixels of the images that the cifar_ networks are made for


class Backbone(NamedTuple):
    """A builder of a backbone, and the smallest crop in pixels that survives its pooling layers."""

    build: Callable[[bool], Any]
    smallest_crop: int


def googlenet_bn(*, fixed_batch_norm: bool = False) -> Any:
    """Build GluonCV's ``googlenet``, with batch norm after every convolution: images -> (N, 1024, 1, 1)."""
    return headless(gluoncv_network("googlenet"), fixed_batch_norm=fixed_batch_norm)


BACKBONES = {
    "googlenet": Backbone(lambda _: GoogLeNet(), 47),
    "googlenet_bn": Backbone(lambda fixed: googlenet_bn(fixed_batch_norm=fixed), 31),
}


def classifier_names() -> list[str]:
    """List GluonCV's classification networks, without its ``googlenet``: that is ``googlenet_bn`` here."""
    names = sorted(gluoncv_zoo().get_model_list())
    return [name for name in names if not NOT_CLASSIFIERS.search(name) and name != "googlenet"]


def gluoncv_name(backbone: str) -> str | None:
    """Return GluonCV's name of a backbone; None for our own GoogLeNet."""
    return {"googlenet": None, "googlenet_bn": "googlenet"}.get(backbone, backbone)


def build_backbone(name: str, crop: int, *, fixed_batch_norm: bool = False) -> Any:
    """Build a backbone. Its parameters are not initialized.

    Parameters
    ----------
    name : str
        ``"googlenet"``, ``"googlenet_bn"`` or one of `classifier_names`.
    crop : int
        Side of the images in pixels.
    fixed_batch_norm : bool
        See `headless`. Has no effect on a network without batch norm.

    Raises
    ------
    ConfigError
        If the name is unknown, or the crop does not suit the network.
    """
    if name not in BACKBONES:
        return _build_classifier(name, crop, fixed_batch_norm=fixed_batch_norm)
    backbone = BACKBONES[name]
    if crop < backbone.smallest_crop:
        raise ConfigError(f"a crop of {crop} px is too small for {name}. Give --crop {backbone.smallest_crop} or more.")
    return backbone.build(fixed_batch_norm)


def require_backbone(name: str) -> None:
    """Raise `ConfigError` if a backbone is unknown."""
    if name not in BACKBONES and name not in (names := classifier_names()):
        close = difflib.get_close_matches(name, [*BACKBONES, *names], 3) or ["resnet50_v1b"]
        raise ConfigError(
            f"backbone {name!r} is unknown. Choose one of {', '.join(BACKBONES)}, or a classification network of "
            f"GluonCV, such as {', '.join(close)}."
        )


def _build_classifier(name: str, crop: int, *, fixed_batch_norm: bool) -> Any:
    require_backbone(name)
    side = CIFAR_SIDE if name.startswith("cifar_") else SIDE
    layers = CLASSIFIER_LAYERS.get(name, 1)
    block = headless(gluoncv_network(name), side, classifier_layers=layers, fixed_batch_norm=fixed_batch_norm)
    if not accepts(block, crop):
        larger = next((side for side in range(crop + 1, crop + LARGER_CROPS) if accepts(block, side)), None)
        advice = f"The next larger one that works is --crop {larger}" if larger else "Choose another backbone"
        raise ConfigError(f"{name} cannot take a crop of {crop} px. {advice}.")
    return block


def backbone_initializer() -> Any:
    """Return the initializer of a backbone that is trained from scratch.

    Notes
    -----
    He et al. 2015 ("Delving deep into rectifiers"): N(0, 2 / fan_in) preserves the variance through layers of
    convolution + ReLU; without batch norm, activations of smaller weights fade out.
    """
    return mx.init.Xavier(rnd_type="gaussian", factor_type="in", magnitude=2)
