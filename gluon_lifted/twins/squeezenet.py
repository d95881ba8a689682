"""Layers of torchvision's squeezenet."""

from __future__ import annotations

FIRE = {"0.0": "squeeze", "1.0.0": "expand1x1", "1.1.0": "expand3x3"}


def layer_name(layer: str) -> str:
    """Map a layer of GluonCV's SqueezeNets.

    Examples
    --------
    >>> layer_name("features.0")
    'features.0'
    >>> layer_name("features.3.1.1.0")
    'features.3.expand3x3'
    """
    features, position, *inside = layer.split(".", 2)
    return ".".join([features, position, *(FIRE[path] for path in inside)])
