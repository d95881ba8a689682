"""Layers of torchvision's mobilenet_v2."""

from __future__ import annotations

FIRST_BLOCK, LAST_CONVOLUTION = 3, 20  # positions in GluonCV's features, where 0 and 1 are the first convolution's
UNEXPANDED = {"0": "0.0", "1": "0.1", "3": "1", "4": "2"}  # the first block has no expansion
EXPANDED = {"0": "0.0", "1": "0.1", "3": "1.0", "4": "1.1", "6": "2", "7": "3"}


def layer_name(layer: str) -> str:
    """Map a layer of GluonCV's MobileNetV2.

    Examples
    --------
    >>> layer_name("features.1")
    'features.0.1'
    >>> layer_name("features.3.out.3")
    'features.1.conv.1'
    >>> layer_name("features.19.out.6")
    'features.17.conv.2'
    >>> layer_name("features.21")
    'features.18.1'
    """
    number, *inside = layer.split(".")[1:]
    position = int(number)
    if inside:
        children = UNEXPANDED if position == FIRST_BLOCK else EXPANDED
        return f"features.{position - 2}.conv.{children[inside[1]]}"
    return f"features.0.{position}" if position < FIRST_BLOCK else f"features.18.{position - LAST_CONVOLUTION}"
