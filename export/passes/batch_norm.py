"""Fold batch norm into the convolution before it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from export.errors import MalformedModelError

if TYPE_CHECKING:
    from collections import Counter

    from export.graph import Graph, GraphNode


def fold_batch_norm(graph: Graph) -> None:
    """Replace Conv -> BatchNormalization by one Conv where nothing else takes the convolution's output.

    Notes
    -----
    With ``scale = gamma / sqrt(var + eps)``: ``weight' = weight * scale`` per filter and
    ``bias' = (bias - mean) * scale + beta``, in float64, rounded once. The new node keeps the convolution's name
    and the batch norm's output.
    """
    uses = graph.uses()
    convolutions = {node.outputs[0]: node for node in graph.nodes if node.op == "Conv"}
    folded: dict[str, GraphNode] = {}
    gone: set[str] = set()
    for node in graph.nodes:
        source = node.inputs[0]
        if node.op == "BatchNormalization" and source in convolutions and uses[source] == 1:
            folded[node.outputs[0]] = _folded(graph, convolutions[source], node, uses)
            gone.add(source)
    graph.nodes = [folded.get(node.outputs[0], node) for node in graph.nodes if node.outputs[0] not in gone]
    for name in gone:
        del graph.rows[name]


def _folded(graph: Graph, conv: GraphNode, norm: GraphNode, uses: Counter[str]) -> GraphNode:
    with np.errstate(all="ignore"):  # what is not finite is refused below
        gamma, beta, mean, variance = (graph.constants[name].astype(np.float64) for name in norm.inputs[1:])
        scale = gamma / np.sqrt(variance + norm.attrs["epsilon"])
        weight = graph.constants[conv.inputs[1]] * scale[:, None, None, None]
        bias = graph.constants[conv.inputs[2]] if len(conv.inputs) > 2 else np.zeros_like(mean)
        shift = (bias - mean) * scale + beta
    folded = {conv.inputs[1]: weight, conv.inputs[2] if len(conv.inputs) > 2 else norm.inputs[2]: shift}
    names = []
    for name, array in folded.items():
        own = name if uses[name] == 1 else graph.claim(f"{conv.name}/{name}")  # others take the parameter as it is
        if not np.abs(array).max(initial=0) <= np.finfo(np.float32).max:
            raise MalformedModelError(
                f"{conv.name!r} and {norm.name!r}: their numbers together exceed float32, or are NaN."
            )
        graph.constants[own] = array.astype(np.float32)
        names.append(own)
    return replace(conv, inputs=(conv.inputs[0], *names), outputs=norm.outputs)
