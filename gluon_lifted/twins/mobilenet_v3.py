"""Layers of torchvision's mobilenet_v3_large and mobilenet_v3_small, up to the pooling."""

from __future__ import annotations

FIRST_BLOCK = 3  # position in GluonCV's features, where 0 and 1 are the first convolution's; it has no expansion
BLOCKS = {"large": 15, "small": 11}
WITH_SQUEEZE = {"large": {6, 7, 8, *range(13, 18)}, "small": {3, *range(6, 14)}}
UNIT = {"conv": "0", "bn": "1"}
SQUEEZE = {"conv1": "fc1", "conv2": "fc2"}


def layer_name(layer: str, size: str) -> str:
    """Map a layer of GluonCV's MobileNetV3.

    torchvision numbers the parts of a block. Not all blocks have an expansion, or squeeze and excitation.

    Parameters
    ----------
    size : str
        ``"large"`` or ``"small"``.

    Examples
    --------
    >>> layer_name("features.3.conv2.bn", "large")
    'features.1.block.1.1'
    >>> layer_name("features.3.conv2.bn", "small")
    'features.1.block.2.1'
    >>> layer_name("features.6.se.conv1", "large")
    'features.4.block.2.fc1'
    >>> layer_name("features.18", "large")
    'features.16.0'
    """
    number, *inside = layer.split(".")[1:]
    position = int(number)
    if inside:
        part, child = inside
        children = SQUEEZE if part == "se" else UNIT
        return f"features.{position - 2}.block.{_parts(position, size).index(part)}.{children[child]}"
    last = FIRST_BLOCK + BLOCKS[size]
    return f"features.0.{position}" if position < FIRST_BLOCK else f"features.{last - 2}.{position - last}"


def _parts(position: int, size: str) -> list[str]:
    expand = ["expand"] if position != FIRST_BLOCK else []
    squeeze = ["se"] if position in WITH_SQUEEZE[size] else []
    return [*expand, "conv1", *squeeze, "conv2"]
