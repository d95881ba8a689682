"""Layers of torchvision's and timm's densenet."""

from __future__ import annotations

import re

STEM = {0: "conv0", 1: "norm0", 11: "norm5"}
FIRST_BLOCK = 4  # blocks are features.4, 6, 8 and 10; transitions are between them
DENSE_LAYER = {"0": "norm1", "2": "conv1", "3": "norm2", "5": "conv2"}
TRANSITION = {"0": "norm", "2": "conv"}


def layer_name(layer: str) -> str:
    """Map a layer of GluonCV's DenseNets.

    Examples
    --------
    >>> layer_name("features.1")
    'features.norm0'
    >>> layer_name("features.6.11.1.3")
    'features.denseblock2.denselayer12.norm2'
    >>> layer_name("features.5.2")
    'features.transition1.conv'
    """
    position, *inside = layer.split(".")[1:]
    if not inside:
        return f"features.{STEM[int(position)]}"
    block, is_transition = divmod(int(position) - FIRST_BLOCK, 2)
    if is_transition:
        return f"features.transition{block + 1}.{TRANSITION[inside[0]]}"
    number, _, child = inside
    return f"features.denseblock{block + 1}.denselayer{int(number) + 1}.{DENSE_LAYER[child]}"


def older_name(name: str) -> str:
    """Return a parameter's name in torchvision's files of 2017, which the library still downloads.

    Examples
    --------
    >>> older_name("features.denseblock1.denselayer2.norm1.weight")
    'features.denseblock1.denselayer2.norm.1.weight'
    """
    return re.sub(r"(denselayer\d+\.(?:norm|conv))([12])", r"\1.\2", name)
