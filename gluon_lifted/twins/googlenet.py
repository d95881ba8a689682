"""Layers of torchvision's googlenet."""

from __future__ import annotations


def layer_name(layer: str) -> str:
    """Map a layer of GluonCV's GoogLeNet with batch norm.

    GluonCV numbers the branches of an inception block from 0, the convolutions of a branch, and the two layers of
    each, convolution and batch norm. torchvision names them.

    Examples
    --------
    >>> layer_name("inception3a.1.0.1")
    'inception3a.branch2.0.bn'
    >>> layer_name("inception3a.0.0.0")
    'inception3a.branch1.conv'
    >>> layer_name("conv1.0")
    'conv1.conv'
    """
    block, *inside, kind = layer.split(".")
    if inside:
        branch, convolution = inside
        inside = [f"branch{int(branch) + 1}"] + ([convolution] if branch != "0" else [])  # branch 0 has one convolution
    return ".".join([block, *inside, ("conv", "bn")[int(kind)]])
