"""Layers of torchvision's and timm's resnet, timm's resnet*c, resnet*d and resnet*s."""

from __future__ import annotations


def layer_name(layer: str) -> str:
    """Map a layer of GluonCV's ResNets v1b, v1c, v1d and v1s, which took torchvision's names.

    Examples
    --------
    >>> layer_name("layer1.0.downsample.1")
    'layer1.0.downsample.1'
    """
    return layer
