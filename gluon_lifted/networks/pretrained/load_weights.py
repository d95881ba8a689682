"""Load trained weights into a network: all that fit, or none."""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from gluon_lifted.errors import ConfigError, DataError
from gluon_lifted.mx import nd
from gluon_lifted.networks.pretrained.fetch import fetch
from gluon_lifted.networks.pretrained.names import (
    Names,
    caffe_names,
    mxnet_names,
    onnx_names,
    twin_names,
)
from gluon_lifted.networks.pretrained.read_weights import Tensors, read_weights
from gluon_lifted.networks.pretrained.trained_with import trained_with
from gluon_lifted.twins.batch_norm import from_twin
from gluon_lifted.twins.twin_networks import TWINS

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from gluon_lifted.images import Preprocessing

TWIN_FORMATS = ("torch", "safetensors")
BACKBONES_OF = {
    "caffemodel": ("googlenet",),
    "onnx": ("googlenet",),
    **dict.fromkeys(TWIN_FORMATS, tuple(TWINS)),
}


@dataclass(frozen=True)
class WeightsReport:
    """Report of the weights that a network took from a file.

    Parameters
    ----------
    source : str
        As given: a file, ``"imagenet"``, the name of published weights, or an address on the hub.
    origin : str
        Where the file is from: a URL, an address on the hub with its commit, or the path.
    format : str
        ``"caffemodel"``, ``"onnx"``, ``"torch"``, ``"safetensors"`` or ``"params"``.
    used : tuple of str
        The network's parameters that were set.
    skipped : tuple of str
        Tensors of the file without a matching parameter: classifiers, auxiliary heads.
    missing : tuple of str
        The network's parameters without a tensor in the file. They keep their values. Only the embedding layer's can
        be missing, never the backbone's.
    colors : str or None
        Input colors that the weights were trained with, as `gluon_lifted.images.colors.colors_of` reads them; None
        if unknown.
    interpolation : str or None
        How the images that the weights were trained with were resized, one of
        `gluon_lifted.images.interpolations.INTERPOLATIONS`; None if unknown.
    preprocessing : Preprocessing or None
        What the publisher of the weights evaluates them with, sizes included; None if unknown.
    """

    source: str
    origin: str
    format: str
    used: tuple[str, ...]
    skipped: tuple[str, ...]
    missing: tuple[str, ...]
    colors: str | None
    interpolation: str | None
    preprocessing: Preprocessing | None

    def __str__(self) -> str:
        origin = "" if self.origin == self.source else f" from {self.origin}"
        new = "; the embedding layer is new" if self.missing else ""
        return (
            f"{self.source}{origin} ({self.format}): {len(self.used):,} tensors used, {len(self.skipped):,} not "
            f"needed{new}"
        )


def load_weights(
    net: Any, source: str, backbone: str, on_note: Callable[[str], None] = lambda _: None
) -> WeightsReport:
    """Set the parameters of a network to trained weights.

    Parameters
    ----------
    net : EmbeddingNet
        Initialized. Its embedding layer is only set from the ``.params`` of another `EmbeddingNet` of equal width, or
        from the ``.safetensors`` that `lifted export --weights` wrote of one.
    source : str
        A file, or what `gluon_lifted.networks.pretrained.fetch.fetch` downloads once: ``"imagenet"``, the name of
        published weights, ``hf://owner/name``.
    backbone : str
        Name of the network's backbone, as in `build_backbone`.
    on_note : callable
        Called with a sentence before a download, and when a source fails.

    Raises
    ------
    DataError
        If the file cannot be read or downloaded, or holds numbers that are not finite.
    ConfigError
        If the file belongs to another network. The message names the first tensor that does not fit. Nothing is
        changed.
    """
    fetched = fetch(source, backbone, on_note)
    kind, tensors = read_weights(fetched.path)
    if backbone not in BACKBONES_OF.get(kind, (backbone,)):
        close = difflib.get_close_matches(backbone, BACKBONES_OF[kind], 3, cutoff=0.0)
        raise ConfigError(
            f"{source}: weights from a {kind} file fit --backbone {', '.join(close)}"
            f"{' and others' if len(BACKBONES_OF[kind]) > len(close) else ''}, but not {backbone}. "
            "Choose one of these, or give another file."
        )
    names = _names(kind, net, backbone, set(tensors))
    chosen = _fitting(net, names, tensors, source, backbone)
    parameters = net.collect_params()
    for ours, values in chosen.items():
        array = from_twin(values, ours, backbone) if kind in TWIN_FORMATS else values
        parameters[ours].set_data(nd.array(array, dtype=parameters[ours].dtype))
    used = trained_with(fetched, kind, backbone, tensors, own=names.get(net.embedding.weight.name) in tensors)
    return WeightsReport(
        source=source,
        origin=fetched.origin,
        format=kind,
        used=tuple(chosen),
        skipped=tuple(sorted(set(tensors) - {names[ours] for ours in chosen})),
        missing=tuple(ours for ours in parameters if ours not in chosen),
        colors=used.colors,
        interpolation=used.interpolation,
        preprocessing=fetched.preprocessing,
    )


def _names(kind: str, net: Any, backbone: str, file_names: set[str]) -> Names:
    if kind == "caffemodel":
        return caffe_names(net)
    if kind == "onnx":
        return onnx_names(net)
    return (mxnet_names if kind == "params" else twin_names)(net, backbone, file_names)


def _fitting(net: Any, names: Names, tensors: Tensors, source: str, backbone: str) -> dict[str, NDArray[np.float32]]:
    """Return checked arrays for all parameters of the backbone, and of the embedding layer if they fit."""
    required = list(net.backbone.collect_params())
    absent = [ours for ours in required if names.get(ours) not in tensors]
    if absent:
        raise ConfigError(
            f"{source}: lacks {len(absent)} of the {len(required)} tensors that {backbone} needs, such as "
            f"{names.get(absent[0], absent[0])!r}. Give weights of this backbone."
        )
    chosen = {}
    for ours, parameter in net.collect_params().items():
        theirs = names.get(ours, "")
        if theirs not in tensors:  # only the embedding layer's can be absent here
            continue
        shape, expected = tensors[theirs].shape, parameter.shape
        if _same_shape(shape, expected):
            chosen[ours] = _checked(tensors[theirs], f"{source}: tensor {theirs!r}")
        elif ours in required:
            raise ConfigError(
                f"{source}: tensor {theirs!r} has the shape {shape}, but {backbone} needs {expected} for {ours}. "
                "Give weights of this backbone and crop."
            )
    return chosen


def _same_shape(shape: tuple[int, ...], expected: tuple[int, ...]) -> bool:
    """Compare shapes. An axis of 0 fits any size: Gluon infers it from the first image."""
    return len(shape) == len(expected) and all(b in (a, 0) for a, b in zip(shape, expected, strict=True))


def _checked(array: NDArray[Any], what: str) -> NDArray[np.float32]:
    if array.dtype.kind != "f":
        raise DataError(f"{what} has the type {array.dtype}; expected floating-point numbers.")
    with np.errstate(over="ignore"):
        single = array.astype(np.float32, copy=False)
    if not np.isfinite(single).all():
        raise DataError(f"{what} contains NaN, infinity or numbers too large for float32. The file is damaged.")
    return single
