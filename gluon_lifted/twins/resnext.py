"""Layers of torchvision's and timm's resnext, timm's seresnext and legacy_senet."""

from __future__ import annotations

BODY = {"0": "conv1", "1": "bn1", "3": "conv2", "4": "bn2", "6": "conv3", "7": "bn3"}
PARTS = {
    "body": BODY,
    "downsample": {"0": "downsample.0", "1": "downsample.1"},
    "se": {"0": "se.fc1", "2": "se.fc2"},
}  # children of a block
LEGACY_PARTS = PARTS | {"se": {"0": "se_module.fc1", "2": "se_module.fc2"}}


def layer_name(layer: str) -> str:
    """Map a layer of GluonCV's ResNeXt, with or without squeeze and excitation.

    Examples
    --------
    >>> layer_name("features.0")
    'conv1'
    >>> layer_name("features.4.2.body.7")
    'layer1.2.bn3'
    >>> layer_name("features.5.0.se.2")
    'layer2.0.se.fc2'
    """
    position, *inside = layer.split(".")[1:]
    return _inside_stage(int(position) - 3, inside, PARTS) if inside else BODY[position]


def senet_layer_name(layer: str) -> str:
    """Map a layer of GluonCV's SENet-154 to timm's legacy_senet154. Its stem has three convolutions.

    Examples
    --------
    >>> senet_layer_name("features.6")
    'layer0.conv3'
    >>> senet_layer_name("features.13.1.se.0")
    'layer4.1.se_module.fc1'
    """
    position, *inside = layer.split(".")[1:]
    return _inside_stage(int(position) - 9, inside, LEGACY_PARTS) if inside else f"layer0.{BODY[position]}"


def _inside_stage(stage: int, path: list[str], parts: dict[str, dict[str, str]]) -> str:
    block, part, number = path
    return f"layer{stage}.{block}.{parts[part][number]}"
