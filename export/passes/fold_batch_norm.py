"""Fold batch norm into the convolution or fully connected layer before or after it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from export.errors import MalformedModelError
from export.graph.graph import FLOAT16

if TYPE_CHECKING:
    from collections import Counter

    from export.graph.graph import Graph, GraphNode

Array = NDArray[np.float64]
FILTERS_AXIS = {"Conv": 1, "Gemm": 1, "ConvTranspose": 2}  # axis of the filters in a weight from `_grouped`


def fold_batch_norm(graph: Graph) -> None:
    """Merge each batch norm with the layer before it, or after it, if no other node uses the tensor between them.

    Notes
    -----
    With ``scale = gamma / sqrt(var + eps)`` and ``shift = beta - mean * scale``, batch norm in inference is
    ``scale * x + shift``. After a layer: ``weight' = weight * scale`` per filter, ``bias' = bias * scale + shift``;
    the node keeps the layer's name and the batch norm's output. Before a layer: ``weight' = weight * scale`` per input
    channel and ``bias' = bias + sum of weight * shift``. This requires a layer without padding, as padding would have
    to be -shift / scale instead of zero. Everything is computed in float64 and rounded once.
    """
    with np.errstate(all="ignore"):  # `_store` checks for numbers that are not finite
        _fold_into_previous(graph)
        _fold_into_next(graph)


def _fold_into_previous(graph: Graph) -> None:
    uses = graph.uses()
    layers = {node.outputs[0]: node for node in graph.nodes if node.op in FILTERS_AXIS}
    folded: dict[str, GraphNode] = {}  # output of a batch norm -> the layer that now computes it
    removed: set[str] = set()
    for norm in _norms(graph):
        layer = layers.get(norm.inputs[0])
        if layer is None or uses[norm.inputs[0]] > 1:
            continue
        scale, shift = _scale_and_shift(graph, norm)
        weight = _grouped(graph, layer)
        bias = _bias(graph, layer) * scale + shift
        weight = weight * _along(scale, weight, FILTERS_AXIS[layer.op])
        if stored := _store(graph, layer, norm, (weight, bias), uses):
            folded[norm.outputs[0]] = replace(stored, outputs=norm.outputs)
            removed.add(norm.inputs[0])
    _replace(graph, folded, removed)


def _fold_into_next(graph: Graph) -> None:
    uses = graph.uses()
    flattened = {node.outputs[0]: node for node in graph.nodes if node.op == "Flatten"}
    layers = {}  # input of a layer -> the layer, and the Flatten in front of it
    for node in graph.nodes:
        if node.op in ("Conv", "Gemm") and not any(node.attrs.get("pads", ())):
            between = flattened.get(node.inputs[0]) if uses[node.inputs[0]] == 1 else None
            layers[(between or node).inputs[0]] = (node, between)
    folded: dict[str, GraphNode] = {}
    removed: set[str] = set()
    for norm in _norms(graph):
        if norm.outputs[0] not in layers or uses[norm.outputs[0]] > 1:
            continue
        layer, between = layers[norm.outputs[0]]
        scale, shift = _scale_and_shift(graph, norm)
        weight = _grouped(graph, layer, len(scale))
        bias = _bias(graph, layer) + (weight * _along(shift, weight, 2)).sum((2, 3)).ravel()
        weight = weight * _along(scale, weight, 2)
        if stored := _store(graph, layer, norm, (weight, bias), uses):
            first = between or stored
            folded[layer.outputs[0]] = stored
            folded[first.outputs[0]] = replace(first, inputs=(norm.inputs[0], *first.inputs[1:]))
            removed.add(norm.outputs[0])
    _replace(graph, folded, removed)


def _norms(graph: Graph) -> list[GraphNode]:
    return [node for node in graph.nodes if node.op == "BatchNormalization"]


def _replace(graph: Graph, nodes: dict[str, GraphNode], removed: set[str]) -> None:
    """Replace the nodes with the same output as ``nodes``, and remove the nodes that compute ``removed``."""
    graph.nodes = [nodes.get(node.outputs[0], node) for node in graph.nodes if node.outputs[0] not in removed]
    for name in removed:
        del graph.tensors[name]


def _scale_and_shift(graph: Graph, norm: GraphNode) -> tuple[Array, Array]:
    gamma, beta, mean, variance = (graph.constants[name].astype(np.float64) for name in norm.inputs[1:])
    scale = gamma / np.sqrt(variance + norm.attrs["epsilon"])
    return scale, beta - mean * scale


def _grouped(graph: Graph, layer: GraphNode, channels: int = -1) -> Array:
    """Return the weight as (groups, filters per group, input channels per group, positions).

    The middle two are swapped for ConvTranspose. A fully connected layer has one position per input channel unless
    ``channels`` is given.
    """
    weight = graph.constants[layer.inputs[1]].astype(np.float64)
    if layer.op == "Gemm":
        return weight.reshape(1, len(weight), channels, weight.shape[1] // channels if channels > 0 else 1)
    groups = layer.attrs["group"]
    return weight.reshape(groups, len(weight) // groups, weight.shape[1], -1)


def _along(numbers: Array, weight: Array, axis: int) -> Array:
    """Reshape (C,) to broadcast along an axis of a grouped weight."""
    shape = [len(weight), 1, 1, 1]
    shape[axis] = -1
    return numbers.reshape(shape)


def _bias(graph: Graph, layer: GraphNode) -> Array | float:
    return graph.constants[layer.inputs[2]].astype(np.float64) if len(layer.inputs) > 2 else 0.0


def _store(
    graph: Graph, layer: GraphNode, norm: GraphNode, parameters: tuple[Array, Array], uses: Counter[str]
) -> GraphNode | None:
    """Return the layer with a new weight and bias; None if they exceed float16, which the separate nodes may not."""
    old = graph.constants[layer.inputs[1]]
    names = (layer.inputs[1], layer.inputs[2] if len(layer.inputs) > 2 else norm.inputs[2])
    limit = np.finfo(old.dtype).max
    if not all(np.abs(array).max(initial=0) <= limit for array in parameters):
        if old.dtype == FLOAT16:
            return None
        raise MalformedModelError(
            f"{norm.name!r} cannot be folded into {layer.name!r}, because the result exceeds float32 or is NaN. The "
            "parameters are probably damaged. To keep the batch norm, give --keep-batch-norm."
        )
    # A parameter that other nodes use keeps its values
    own = [name if uses[name] == 1 else graph.claim(f"{layer.name}/{name}") for name in names]
    graph.constants[own[0]] = parameters[0].reshape(old.shape).astype(old.dtype)
    graph.constants[own[1]] = parameters[1].astype(old.dtype)
    return replace(layer, inputs=(layer.inputs[0], *own))
