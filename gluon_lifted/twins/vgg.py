"""Layers of torchvision's vgg and alexnet: convolutions, then two fully connected layers."""

from __future__ import annotations

DEPTHS = (11, 13, 16, 19)
POOLINGS = 5


def vgg_layer_name(layer: str, depth: int, layers_each: int) -> str:
    """Map a layer of GluonCV's VGG.

    Parameters
    ----------
    depth : int
        Number of convolutions and fully connected layers, the classifier included.
    layers_each : int
        Layers for a convolution: 2 (with ReLU), or 3 (with batch norm).

    Examples
    --------
    >>> vgg_layer_name("features.8", depth=11, layers_each=3)
    'features.8'
    >>> vgg_layer_name("features.31", depth=11, layers_each=3)
    'classifier.3'
    """
    first = (depth - 3) * layers_each + POOLINGS  # dense layer; there is dropout between the two
    return {f"features.{first}": "classifier.0", f"features.{first + 2}": "classifier.3"}.get(layer, layer)


ALEXNET = {
    "features.0": "features.0", "features.2": "features.3", "features.4": "features.6", "features.5": "features.8",
    "features.6": "features.10", "features.9": "classifier.1", "features.11": "classifier.4",
}  # fmt: skip


def alexnet_layer_name(layer: str) -> str:
    """Map a layer of GluonCV's AlexNet, whose layers include their ReLU.

    Examples
    --------
    >>> alexnet_layer_name("features.9")
    'classifier.1'
    """
    return ALEXNET[layer]
