"""Fold batch norm into the convolution or fully connected layer before or behind it."""

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
FILTERS_AXIS = {"Conv": 1, "Gemm": 1, "ConvTranspose": 2}  # of weights in groups: see `_grouped`


def fold_batch_norm(graph: Graph) -> None:
    """Make one node of a batch norm and the layer whose output it alone takes, or that alone takes its output.

    Notes
    -----
    With ``scale = gamma / sqrt(var + eps)`` and ``shift = beta - mean * scale``, batch norm in inference is
    ``scale * x + shift``. Behind a layer: ``weight' = weight * scale`` per filter, ``bias' = bias * scale + shift``;
    the node keeps the layer's name and the batch norm's output. Before a layer without padding, whose zeros would
    have to be another number: ``weight' = weight * scale`` per channel of its input, and
    ``bias' = bias + sum of weight * shift``. All in float64, rounded once.
    """
    with np.errstate(all="ignore"):  # what is not finite is noticed when it is stored
        _fold_behind(graph)
        _fold_before(graph)


def _fold_behind(graph: Graph) -> None:
    uses = graph.uses()
    layers = {node.outputs[0]: node for node in graph.nodes if node.op in FILTERS_AXIS}
    folded: dict[str, GraphNode] = {}  # output of a batch norm -> the layer that has it now
    gone: set[str] = set()
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
            gone.add(norm.inputs[0])
    _replace(graph, folded, gone)


def _fold_before(graph: Graph) -> None:
    uses = graph.uses()
    flattened = {node.outputs[0]: node for node in graph.nodes if node.op == "Flatten"}
    layers = {}  # what a layer takes -> the layer, and the Flatten between
    for node in graph.nodes:
        if node.op in ("Conv", "Gemm") and not any(node.attrs.get("pads", ())):
            between = flattened.get(node.inputs[0]) if uses[node.inputs[0]] == 1 else None
            layers[(between or node).inputs[0]] = (node, between)
    folded: dict[str, GraphNode] = {}
    gone: set[str] = set()
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
            gone.add(norm.outputs[0])
    _replace(graph, folded, gone)


def _norms(graph: Graph) -> list[GraphNode]:
    return [node for node in graph.nodes if node.op == "BatchNormalization"]


def _replace(graph: Graph, nodes: dict[str, GraphNode], gone: set[str]) -> None:
    """Put nodes in the places of those with the same output, and take others out."""
    graph.nodes = [nodes.get(node.outputs[0], node) for node in graph.nodes if node.outputs[0] not in gone]
    for name in gone:
        del graph.tensors[name]


def _scale_and_shift(graph: Graph, norm: GraphNode) -> tuple[Array, Array]:
    gamma, beta, mean, variance = (graph.constants[name].astype(np.float64) for name in norm.inputs[1:])
    scale = gamma / np.sqrt(variance + norm.attrs["epsilon"])
    return scale, beta - mean * scale


def _grouped(graph: Graph, layer: GraphNode, channels: int = -1) -> Array:
    """The weight as (groups, filters of a group, its input channels, positions); the middle two change places for
    ConvTranspose. ``channels`` of a fully connected layer's input are all its numbers unless given.
    """
    weight = graph.constants[layer.inputs[1]].astype(np.float64)
    if layer.op == "Gemm":
        return weight.reshape(1, len(weight), channels, weight.shape[1] // channels if channels > 0 else 1)
    groups = layer.attrs["group"]
    return weight.reshape(groups, len(weight) // groups, weight.shape[1], -1)


def _along(numbers: Array, weight: Array, axis: int) -> Array:
    """(C,) so that it is multiplied along an axis of a grouped weight."""
    shape = [len(weight), 1, 1, 1]
    shape[axis] = -1
    return numbers.reshape(shape)


def _bias(graph: Graph, layer: GraphNode) -> Array | float:
    return graph.constants[layer.inputs[2]].astype(np.float64) if len(layer.inputs) > 2 else 0.0


def _store(
    graph: Graph, layer: GraphNode, norm: GraphNode, parameters: tuple[Array, Array], uses: Counter[str]
) -> GraphNode | None:
    """The layer with another weight and bias; None if they exceed half precision, which the two nodes apart may not."""
    old = graph.constants[layer.inputs[1]]
    names = (layer.inputs[1], layer.inputs[2] if len(layer.inputs) > 2 else norm.inputs[2])
    limit = np.finfo(old.dtype).max
    if not all(np.abs(array).max(initial=0) <= limit for array in parameters):
        if old.dtype == FLOAT16:
            return None
        raise MalformedModelError(
            f"{layer.name!r} and {norm.name!r}: their numbers together exceed float32, or are NaN."
        )
    # Others take a shared parameter as it is
    own = [name if uses[name] == 1 else graph.claim(f"{layer.name}/{name}") for name in names]
    graph.constants[own[0]] = parameters[0].reshape(old.shape).astype(old.dtype)
    graph.constants[own[1]] = parameters[1].astype(old.dtype)
    return replace(layer, inputs=(layer.inputs[0], *own))
