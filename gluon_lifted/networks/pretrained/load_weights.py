"""Trained weights into a network: all that fit, or none."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from gluon_lifted.card import ModelCard
from gluon_lifted.contract import CARD_FILE
from gluon_lifted.errors import ConfigError, DataError, RunError
from gluon_lifted.images.colors import COLORS
from gluon_lifted.mx import nd
from gluon_lifted.networks.pretrained.names import (
    Names,
    caffe_names,
    mxnet_names,
    torchvision_names,
)
from gluon_lifted.networks.pretrained.read_weights import Tensors, read_weights
from gluon_lifted.networks.pretrained.store import fetch_imagenet

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

IMAGENET = "imagenet"
BACKBONE_OF = {"caffemodel": "googlenet", "torch": "googlenet_bn", "safetensors": "googlenet_bn"}


@dataclass(frozen=True)
class WeightsReport:
    """Which weights of a file a network took.

    Parameters
    ----------
    source : str
        The file, or ``"imagenet"``.
    format : str
        ``"caffemodel"``, ``"torch"``, ``"safetensors"`` or ``"params"``.
    used : tuple of str
        Our parameters that were set.
    skipped : tuple of str
        Tensors of the file that no parameter is for: classifiers, auxiliary heads.
    missing : tuple of str
        Our parameters that the file has nothing for and that keep their values: the embedding layer's, never the
        backbone's.
    colors : str or None
        How the weights' network was fed, a name in `gluon_lifted.images.colors.COLORS`; None if unknown.
    """

    source: str
    format: str
    used: tuple[str, ...]
    skipped: tuple[str, ...]
    missing: tuple[str, ...]
    colors: str | None

    def __str__(self) -> str:
        return (
            f"{self.source} ({self.format}): {len(self.used)} tensors used, {len(self.skipped)} skipped, "
            f"{len(self.missing)} missing"
        )


def load_weights(
    net: Any, source: str, backbone: str, on_note: Callable[[str], None] = lambda _: None
) -> WeightsReport:
    """Set the parameters of a network to trained weights.

    Parameters
    ----------
    net : EmbeddingNet
        Initialized. Its embedding layer is filled from the ``.params`` of a network of ours alone, and only where
        its width is the same.
    source : str
        A file, or ``"imagenet"``: GluonCV's weights of this backbone, fetched once.
    backbone : str
        Name of the network's backbone.
    on_note : callable
        Told what is being fetched.

    Raises
    ------
    DataError
        If the file cannot be read, or not be fetched, or holds numbers that are not finite.
    ConfigError
        If it is of another network; the message names the first tensor that does not fit. Nothing is changed.
    """
    path = fetch_imagenet(backbone, on_note) if source == IMAGENET else Path(source)
    kind, tensors = read_weights(path)
    if BACKBONE_OF.get(kind, backbone) != backbone:
        raise ConfigError(
            f"{source}: {kind} weights are read for --backbone {BACKBONE_OF[kind]}, not for {backbone}; "
            "give that backbone, or another file."
        )
    names = _names(kind, net, backbone, set(tensors))
    chosen = _fitting(net, names, tensors, source, backbone)
    parameters = net.collect_params()
    for ours, array in chosen.items():
        parameters[ours].set_data(nd.array(array, dtype=parameters[ours].dtype))
    return WeightsReport(
        source=source,
        format=kind,
        used=tuple(chosen),
        skipped=tuple(sorted(set(tensors) - {names[ours] for ours in chosen})),
        missing=tuple(ours for ours in parameters if ours not in chosen),
        colors=_colors(kind, path, backbone, own=names.get(net.embedding.weight.name) in tensors),
    )


def _names(kind: str, net: Any, backbone: str, file_names: set[str]) -> Names:
    if kind == "caffemodel":
        return caffe_names(net)
    return mxnet_names(net, backbone, file_names) if kind == "params" else torchvision_names(net)


def _fitting(net: Any, names: Names, tensors: Tensors, source: str, backbone: str) -> dict[str, NDArray[np.float32]]:
    """The array of every parameter of the backbone, and of the embedding layer if it fits; all checked."""
    required = list(net.backbone.collect_params())
    absent = [ours for ours in required if names.get(ours) not in tensors]
    if absent:
        raise ConfigError(
            f"{source}: has no tensor {names.get(absent[0], absent[0])!r} and lacks {len(absent)} of the "
            f"{len(required)} that {backbone} needs; it is of another network."
        )
    chosen = {}
    for ours, parameter in net.collect_params().items():
        theirs = names.get(ours, "")
        if theirs not in tensors:  # the embedding layer's, as nothing else may lack
            continue
        shape, expected = tensors[theirs].shape, parameter.shape
        if _same_shape(shape, expected):
            chosen[ours] = _checked(tensors[theirs], f"{source}: tensor {theirs!r}")
        elif ours in required:
            raise ConfigError(
                f"{source}: tensor {theirs!r} has the shape {shape}, {backbone} needs {expected} for {ours}; "
                "it is of another network, or of another crop."
            )
    return chosen


def _same_shape(shape: tuple[int, ...], expected: tuple[int, ...]) -> bool:
    """Equal, but for axes of 0: those that Gluon has not seen an image for yet."""
    return len(shape) == len(expected) and all(b in (a, 0) for a, b in zip(shape, expected, strict=True))


def _checked(array: NDArray[Any], what: str) -> NDArray[np.float32]:
    if array.dtype.kind != "f":
        raise DataError(f"{what} has the type {array.dtype}; expected floating point.")
    with np.errstate(over="ignore"):
        single = array.astype(np.float32, copy=False)
    if not np.isfinite(single).all():
        raise DataError(f"{what} holds NaN, infinity or what is too large for 32 bits; the file is damaged.")
    return single


def _colors(kind: str, path: Path, backbone: str, own: bool) -> str | None:
    """What a network with these weights is fed: torchvision's googlenet is ported from TensorFlow, and feeds it so."""
    if kind != "params":
        return "caffe" if kind == "caffemodel" else "inception"
    if not own:  # GluonCV's; those for CIFAR-10 saw statistics of its own
        return None if backbone.startswith("cifar") else "imagenet"
    card = path.parent / CARD_FILE
    try:
        used = ModelCard.from_json(card.read_text(encoding="utf-8"), str(card)).preprocessing
    except (OSError, UnicodeDecodeError, RunError):
        return None
    return next((name for name, colors in COLORS.items() if colors == (used.channels, used.mean, used.std)), None)
