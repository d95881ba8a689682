"""The names that torchvision gives to the parameters of networks which it has too."""

from __future__ import annotations

TWINS = {"googlenet_bn": "googlenet"} | {f"resnet{depth}_v1b": f"resnet{depth}" for depth in (18, 34, 50, 101, 152)}
KINDS = {"gamma": "weight", "beta": "bias"}
EMBEDDING = {"embedding_weight": "embedding.weight", "embedding_bias": "embedding.bias"}  # torchvision has none


def torchvision_name(parameter: str, backbone: str) -> str:
    """Map a parameter of an `EmbeddingNet` to the torchvision network of the same structure.

    Parameters
    ----------
    parameter : str
        Name in our networks and in the files of a run.
    backbone : str
        A key of `TWINS`.

    Notes
    -----
    GluonCV's ResNets v1b have torchvision's names, apart from batch norm's. Its GoogLeNet numbers the branches of an
    inception block from 0, the convolutions of a branch, and the two layers of each, convolution and batch norm.
    torchvision names them.

    Examples
    --------
    >>> torchvision_name("inception3a.1.0.1.gamma", "googlenet_bn")
    'inception3a.branch2.0.bn.weight'
    >>> torchvision_name("inception3a.0.0.0.weight", "googlenet_bn")
    'inception3a.branch1.conv.weight'
    >>> torchvision_name("layer1.0.bn1.beta", "resnet50_v1b")
    'layer1.0.bn1.bias'
    """
    if parameter in EMBEDDING or "." not in parameter:
        return EMBEDDING.get(parameter, parameter)
    block, *inside, kind = parameter.split(".")
    if backbone != "googlenet_bn":
        return ".".join([block, *inside, KINDS.get(kind, kind)])
    *inside, layer = inside
    if inside:
        branch, convolution = inside
        inside = [f"branch{int(branch) + 1}"] + ([convolution] if branch != "0" else [])  # branch 0 has one convolution
    return ".".join([block, *inside, ("conv", "bn")[int(layer)], KINDS.get(kind, kind)])
