"""Names of parameters in a backbone's twins."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from gluon_lifted.twins import (
    densenet,
    googlenet,
    inception_v3,
    mobilenet_v2,
    mobilenet_v3,
    resnet,
    resnext,
    squeezenet,
    vgg,
)
from gluon_lifted.twins.twin_networks import TWINS

if TYPE_CHECKING:
    from collections.abc import Callable

KINDS = {"gamma": "weight", "beta": "bias"}
EMBEDDING = {"embedding_weight": "embedding.weight", "embedding_bias": "embedding.bias"}  # the twins have none

# Start of a backbone's name -> map of its layers; the longest start that fits
FAMILIES: dict[str, Callable[[str], str]] = {
    "googlenet_bn": googlenet.layer_name,
    "inceptionv3": inception_v3.layer_name,
    "resnet": resnet.layer_name,
    "resnext": resnext.layer_name,
    "se_resnext": resnext.layer_name,
    "senet": resnext.senet_layer_name,
    "densenet": densenet.layer_name,
    "alexnet": vgg.alexnet_layer_name,
    "squeezenet": squeezenet.layer_name,
    "mobilenetv2": mobilenet_v2.layer_name,
    "mobilenetv3_large": partial(mobilenet_v3.layer_name, size="large"),
    "mobilenetv3_small": partial(mobilenet_v3.layer_name, size="small"),
    **{f"vgg{depth}": partial(vgg.vgg_layer_name, depth=depth, layers_each=2) for depth in vgg.DEPTHS},
    **{f"vgg{depth}_bn": partial(vgg.vgg_layer_name, depth=depth, layers_each=3) for depth in vgg.DEPTHS},
}

LAYER_NAMES = {
    backbone: FAMILIES[max(filter(backbone.startswith, FAMILIES), key=len)] for backbone in TWINS
}  # backbone -> map of its layers


def twin_name(parameter: str, backbone: str) -> str:
    """Map a parameter of an `EmbeddingNet` to the twins of its backbone.

    Parameters
    ----------
    parameter : str
        Name in our networks and in the files of a run.
    backbone : str
        A key of `TWINS`.

    Raises
    ------
    ValueError
        If the backbone has no such parameter.

    Examples
    --------
    >>> twin_name("inception3a.1.0.1.gamma", "googlenet_bn")
    'inception3a.branch2.0.bn.weight'
    >>> twin_name("layer1.0.bn1.running_mean", "resnet50_v1b")
    'layer1.0.bn1.running_mean'
    >>> twin_name("embedding_weight", "resnet50_v1b")
    'embedding.weight'
    """
    if parameter in EMBEDDING or "." not in parameter:
        return EMBEDDING.get(parameter, parameter)
    layer, kind = parameter.rsplit(".", 1)
    try:
        return f"{LAYER_NAMES[backbone](layer)}.{KINDS.get(kind, kind)}"
    except (ValueError, LookupError):
        raise ValueError(f"{backbone} has no parameter {parameter!r:.100}") from None


def older_twin_name(name: str, backbone: str) -> str:
    """Return the name of a twin's parameter in older files of the twin; the same for all but DenseNets."""
    return densenet.older_name(name) if backbone.startswith("densenet") else name
