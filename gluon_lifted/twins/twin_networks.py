"""Twins of our backbones: the same networks in torchvision or timm.

Backbones without a twin, though a network of a similar name exists:

- ``mobilenetv2_0.75``, ``mobilenetv2_0.5``: timm rounds channels to multiples of 8, GluonCV does not.
- ``mobilenetv2_0.25``, ``resnet*_v1e``, ``se_resnext101e_64x4d``, ``resnext101e_64x4d``: neither library has them.
- ``resnet*_v1``, ``se_resnet*_v1``: from 50 layers on, the stride is in the first 1x1 convolution of a block, which
  has a bias. ``resnet18_v1`` and ``resnet34_v1`` are ``resnet18_v1b`` and ``resnet34_v1b`` under other names.
- timm's ``senet154`` pads the stem's pooling, unlike GluonCV's ``senet_154``: ``legacy_senet154`` does not.
"""

from __future__ import annotations

from typing import NamedTuple


class Twin(NamedTuple):
    """A network of another library.

    Parameters
    ----------
    library : str
        ``"torchvision"`` or ``"timm"``.
    architecture : str
        Name for `torchvision.models.get_model` or `timm.create_model`.
    """

    library: str
    architecture: str

    def __str__(self) -> str:
        return f"{self.library} {self.architecture}"


TORCHVISION, TIMM = "torchvision", "timm"


def _in_torchvision(architecture: str) -> tuple[Twin, ...]:
    return (Twin(TORCHVISION, architecture),)


def _in_timm(architecture: str) -> tuple[Twin, ...]:
    return (Twin(TIMM, architecture),)


def _in_both(architecture: str) -> tuple[Twin, ...]:
    """Declare a network that timm has under torchvision's names for the network and its parameters."""
    return (Twin(TORCHVISION, architecture), Twin(TIMM, architecture))


# Backbone -> twins, torchvision's first. All twins of a backbone name their parameters alike.
TWINS: dict[str, tuple[Twin, ...]] = {
    "googlenet_bn": _in_torchvision("googlenet"),
    "inceptionv3": _in_both("inception_v3"),
    **{f"resnet{depth}_v1b": _in_both(f"resnet{depth}") for depth in (18, 34, 50, 101, 152)},
    **{f"resnet{depth}_v1{stem}": _in_timm(f"resnet{depth}{stem}") for stem in "cds" for depth in (50, 101, 152)},
    "resnext50_32x4d": _in_both("resnext50_32x4d"),
    "resnext101_32x4d": _in_timm("resnext101_32x4d"),
    "resnext101_64x4d": _in_both("resnext101_64x4d"),
    **{f"se_resnext{size}": _in_timm(f"seresnext{size}") for size in ("50_32x4d", "101_32x4d", "101_64x4d")},
    "senet_154": _in_timm("legacy_senet154"),
    **{f"densenet{depth}": _in_both(f"densenet{depth}") for depth in (121, 161, 169, 201)},
    **{f"vgg{depth}{norm}": _in_torchvision(f"vgg{depth}{norm}") for norm in ("", "_bn") for depth in (11, 13, 16, 19)},
    "alexnet": _in_torchvision("alexnet"),
    "squeezenet1.0": _in_torchvision("squeezenet1_0"),
    "squeezenet1.1": _in_torchvision("squeezenet1_1"),
    "mobilenetv2_1.0": _in_torchvision("mobilenet_v2"),
    "mobilenetv3_large": _in_torchvision("mobilenet_v3_large"),
    "mobilenetv3_small": _in_torchvision("mobilenet_v3_small"),
}
