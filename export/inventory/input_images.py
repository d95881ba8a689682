"""Guess the preprocessing and the size of a network's input images."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from export.graph.attributes import Attrs
from gluon_lifted.errors import LiftedError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from export.reader.symbol import Symbol, SymbolNode

SCALARS = {"_minus_scalar", "_plus_scalar", "_mul_scalar", "_div_scalar"}
FIRST_LAYERS = {"Convolution", "FullyConnected"}
INSIGHTFACE = {("_minus_scalar", 127.5), ("_mul_scalar", 0.0078125)}
LEAST_PIXEL_MEAN = 20.0  # mean of a channel of photos: about 110 in pixels, about 0 once normalized
# Names that GluonCV's model zoo and Gluon's own give their classification networks, before a process-wide counter
ZOO = re.compile(
    r"(resnet|resnext|resnest|se_?resn|senet|mobilenet|vgg|densenet|inception|squeezenet|alexnet|googlenet|xception|"
    r"nasnet|hrnet|darknet|dla)[a-z0-9_]*?[0-9]+_"
)


@dataclass(frozen=True)
class Guess:
    """A guess, and the evidence for it."""

    value: str
    reason: str


def guess_preprocessing(symbol: Symbol, image: int, params: Mapping[str, NDArray[Any]] | None) -> Guess | None:
    """Guess the preset of `gluon_lifted.images.presets`; None without evidence.

    Parameters
    ----------
    symbol : Symbol
        The network.
    image : int
        Index of the variable for the images.
    params : mapping, optional
        Name -> array.
    """
    first = _first_nodes(symbol, image)
    scalars = {(node.op, _number(node)) for node in first if node.op in SCALARS}
    if scalars >= INSIGHTFACE:
        reason = "the network subtracts 127.5 and multiplies by 0.0078125 itself, like InsightFace's"
        return Guess("insightface", reason)
    if scalars:
        return Guess("raw", f"the network scales the images itself ({first[0].name}, {first[0].op})")
    if first and first[0].op == "BatchNorm":
        return _of_batch_norm(symbol, first[0], params)
    named = next((node.name for node in symbol.nodes if not node.is_variable and ZOO.match(node.name)), None)
    return None if named is None else Guess("gluoncv", f"nodes are named as in GluonCV's model zoo, such as {named}")


def declared_shape(symbol: Symbol, image: int) -> tuple[int, int, int] | None:
    """Return (C, H, W) if the variable for the images declares all three."""
    node = symbol.nodes[image]
    try:
        axes = Attrs(f"variable {node.name!r}", node.attrs).optional_integers("__shape__", minimum=-1) or ()
    except LiftedError:
        return None
    sizes = tuple(size for size in axes[1:] if size is not None and size > 0)
    return (sizes[0], sizes[1], sizes[2]) if len(axes) == 4 and len(sizes) == 3 else None


def channels(symbol: Symbol, image: int, params: Mapping[str, NDArray[Any]]) -> int:
    """Return the number of channels that the first convolution takes; 3 if its weight is unknown."""
    for node in _first_nodes(symbol, image):
        if node.op == "Convolution" and len(node.inputs) > 1:
            weight = params.get(symbol.nodes[node.inputs[1].node].name)
            if weight is not None and weight.ndim == 4 and node.attrs.get("num_group", "1") == "1":
                return weight.shape[1]
    return 3


def _of_batch_norm(symbol: Symbol, norm: SymbolNode, params: Mapping[str, NDArray[Any]] | None) -> Guess | None:
    """Guess from the running mean of a batch norm at the start of the network."""
    name = symbol.nodes[norm.inputs[3].node].name if len(norm.inputs) > 3 else ""
    mean = (params or {}).get(name)
    if mean is not None and np.isfinite(mean).all() and mean.any():
        largest = float(np.abs(mean).max())
        reason = f"the batch norm of the images, {norm.name}, has means of up to {largest:.3g}"
        return Guess("raw" if largest >= LEAST_PIXEL_MEAN else "gluoncv", reason)
    if norm.name == "bn_data":
        return Guess("raw", "bn_data: MXNet's ResNets take pixels of 0-255 and normalize them with this batch norm")
    return (
        Guess("gluoncv", f"nodes are named as in GluonCV's model zoo, such as {norm.name}")
        if ZOO.match(norm.name)
        else None
    )


def _first_nodes(symbol: Symbol, image: int) -> list[SymbolNode]:
    """Return the nodes from the images to the first layer, following the first user of each output."""
    nodes, at = [], image
    for index, node in enumerate(symbol.nodes):
        if node.inputs and node.inputs[0].node == at:
            at = index
            if node.op != "_copy":
                nodes.append(node)
            if node.op in FIRST_LAYERS:
                break
    return nodes


def _number(node: SymbolNode) -> float:
    try:
        return Attrs(f"{node.op} {node.name!r}", node.attrs).real("scalar")
    except LiftedError:
        return float("nan")
