"""Join a Relu and the Min after it, which MXNet trains faster than its clip, into the Clip that runtimes fuse."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from export.graph.graph import Graph, GraphNode


def relu_and_min_as_clip(graph: Graph) -> None:
    """Replace ``min(max(x, 0), c)`` with a number c >= 0 by ``Clip(x, 0, c)``: exactly the same values.

    Runtimes compute a Clip as part of the convolution before it, and a Min as a separate pass.
    """
    relus = {node.outputs[0]: node.inputs[0] for node in graph.nodes if node.op == "Relu"}
    graph.nodes = [_as_clip(graph, node, relus) if node.op == "Min" else node for node in graph.nodes]


def _as_clip(graph: Graph, node: GraphNode, relus: dict[str, str]) -> GraphNode:
    if len(node.inputs) != 2:
        return node
    relu, limit = node.inputs if node.inputs[0] in relus else node.inputs[::-1]
    number = graph.constants.get(limit)
    if relu not in relus or number is None or number.ndim or not number >= 0:
        return node
    low = graph.claim(f"{node.name}/low")
    graph.constants[low] = number.dtype.type(0).reshape(())
    return replace(node, op="Clip", inputs=(relus[relu], low, limit))
