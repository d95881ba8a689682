"""The registry: backbone -> published weights, in the order in which ``--weights imagenet`` tries them."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING

from gluon_lifted.errors import ConfigError
from gluon_lifted.published.onnx_weights import onnx_weights
from gluon_lifted.published.timm_weights import timm_weights
from gluon_lifted.published.torchvision_weights import torchvision_weights
from gluon_lifted.twins.twin_networks import TIMM, TORCHVISION, TWINS

if TYPE_CHECKING:
    from gluon_lifted.published.weights import PublishedWeights

LIBRARIES = {TORCHVISION: torchvision_weights, TIMM: timm_weights}
ONNX_BACKBONE = "googlenet"
IMAGENET = "imagenet"  # the first weights that answer
NAMED = ("torchvision:", "timm:", "onnx:")  # what the name of published weights starts with
HUB = "hf://"


def is_published(source: object) -> bool:
    """Return whether initial weights have the form of a published name, rather than of a file."""
    return isinstance(source, str) and (source == IMAGENET or source.startswith((*NAMED, HUB)))


def published_weights(backbone: str) -> list[PublishedWeights]:
    """List all weights of a backbone: torchvision's, timm's, then the ONNX model zoo's."""
    if backbone == ONNX_BACKBONE:
        return onnx_weights()
    twins = TWINS.get(backbone, ())
    return [weights for twin in twins for weights in LIBRARIES[twin.library](twin.architecture)]


def first_weights(backbone: str) -> list[PublishedWeights]:
    """List what ``--weights imagenet`` tries before GluonCV's store: the first weights of each library."""
    firsts: dict[str, PublishedWeights] = {}
    for weights in published_weights(backbone):
        firsts.setdefault(weights.library, weights)
    return list(firsts.values())


def backbones_with_weights() -> list[str]:
    """List the backbones that have published weights."""
    return [backbone for backbone in (ONNX_BACKBONE, *TWINS) if published_weights(backbone)]


def weights_of(backbone: str) -> list[PublishedWeights]:
    """List all weights of a backbone. Raises `ConfigError` if none are published."""
    if weights := published_weights(backbone):
        return weights
    known = backbones_with_weights()
    close = difflib.get_close_matches(backbone, known, 3, cutoff=0.3) or known[:3]
    raise ConfigError(
        f"{backbone}: has no published weights. Backbones that have some: {', '.join(close)}. "
        "`lifted weights` lists all."
    )


def named_weights(source: str, backbone: str) -> PublishedWeights:
    """Return the weights of a name such as ``"torchvision:resnet50.IMAGENET1K_V2"``.

    Raises
    ------
    ConfigError
        If the name is unknown, or that of another backbone's weights.
    """
    own = published_weights(backbone)
    for weights in own:
        if weights.source == source:
            return weights
    owners = [
        other
        for other in backbones_with_weights()
        if any(weights.source == source for weights in published_weights(other))
    ]
    if owners:
        raise ConfigError(
            f"{source}: weights of {owners[0]}, not of {backbone}. Give --backbone {owners[0]}, or other weights."
        )
    close = difflib.get_close_matches(source, [weights.source for weights in own], 3, cutoff=0.3)
    known = f"known for {backbone}: {', '.join(close)}" if close else f"none are known for {backbone}"
    raise ConfigError(
        f"{source}: no such weights; {known}. `lifted weights` lists all. Give others as hf://OWNER/NAME."
    )
