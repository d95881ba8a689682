"""Remove explicit broadcasts before operators that broadcast implicitly."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from export.libraries import onnx

if TYPE_CHECKING:
    from export.graph.graph import Graph, GraphNode
    from export.graph.shape import BatchShape

ELEMENTWISE = {"Add", "Sub", "Mul", "Div", "Pow", "Max", "Min"}  # they broadcast


def remove_expand(graph: Graph) -> None:
    """Replace ``ConstantOfShape`` by a scalar and ``Expand`` by its input.

    Applies where they feed an elementwise node whose other input has the same shape.
    """
    expanded = {node.outputs[0]: node for node in graph.nodes if node.op in ("ConstantOfShape", "Expand")}
    graph.nodes = [_without_expand(graph, node, expanded) if node.op in ELEMENTWISE else node for node in graph.nodes]


def _without_expand(graph: Graph, node: GraphNode, expanded: dict[str, GraphNode]) -> GraphNode:
    for position, name in enumerate(node.inputs):
        other = node.inputs[1 - position]
        if name in expanded and other not in expanded and _shape(graph, other) == _shape(graph, name):
            source = _source(graph, node, expanded[name])
            return replace(node, inputs=(source, other) if position == 0 else (other, source))
    return node


def _source(graph: Graph, node: GraphNode, expanded: GraphNode) -> str:
    if expanded.op == "Expand":
        return expanded.inputs[0]
    scalar = graph.claim(f"{node.name}/scalar")
    graph.constants[scalar] = onnx.numpy_helper.to_array(expanded.attrs["value"])[0].reshape(())
    return scalar


def _shape(graph: Graph, name: str) -> BatchShape | None:
    return graph.tensors[name].shape if name in graph.tensors else None
