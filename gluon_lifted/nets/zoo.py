"""Backbones by name."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from gluon_lifted.errors import ConfigError
from gluon_lifted.mx import gluoncv_network, mx, nn
from gluon_lifted.nets.googlenet import GoogLeNet

# The children of GluonCV's googlenet up to its 7x7 pooling, which would refuse crops below 224 px.
GLUONCV_GOOGLENET = (
    "conv1 maxpool1 conv2 conv3 maxpool2 inception3a inception3b maxpool3 "
    "inception4a inception4b inception4c inception4d inception4e maxpool4 inception5a inception5b"
).split()


def googlenet_bn() -> Any:
    """GluonCV's ``googlenet``: batch norm after every convolution. Images -> (N, 1024, 1, 1)."""
    network = gluoncv_network("googlenet")
    features = nn.HybridSequential(prefix="")
    features.add(*(getattr(network, child) for child in GLUONCV_GOOGLENET), nn.GlobalAvgPool2D(prefix="pool5_"))
    return features


class Backbone(NamedTuple):
    """How to build a backbone, and the smallest crop in pixels that its pooling layers leave something of."""

    build: Callable[[], Any]
    smallest_crop: int


BACKBONES = {"googlenet": Backbone(GoogLeNet, 47), "googlenet_bn": Backbone(googlenet_bn, 31)}


def build_backbone(name: str, crop: int) -> Any:
    """A backbone whose parameters are not yet initialised.

    Raises
    ------
    ConfigError
        For a name not in `BACKBONES`, or a crop of fewer pixels than the network can take.
    """
    if name not in BACKBONES:
        raise ConfigError(f"backbone {name!r} is unknown; choose one of {', '.join(BACKBONES)}.")
    backbone = BACKBONES[name]
    if crop < backbone.smallest_crop:
        raise ConfigError(f"crop {crop} px is too small for {name}; give it {backbone.smallest_crop} or more.")
    return backbone.build()


def backbone_initializer() -> Any:
    """How a backbone's weights are drawn before training from scratch.

    Notes
    -----
    He et al. 2015 ("Delving deep into rectifiers"): N(0, 2 / fan_in) keeps the variance through layers of
    convolution + ReLU, which both networks are; without batch norm anything smaller fades out.
    """
    return mx.init.Xavier(rnd_type="gaussian", factor_type="in", magnitude=2)
