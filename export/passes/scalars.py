"""A tensor of one number, added to or multiplied with another, becomes that number."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from export.libraries import onnx

if TYPE_CHECKING:
    from export.graph import Graph, GraphNode, Shape

ELEMENTWISE = {"Add", "Sub", "Mul", "Div"}


def use_scalars(graph: Graph) -> None:
    """Replace the outputs of ``ConstantOfShape`` where the other input of an elementwise node is of the same shape."""
    filled = {node.outputs[0]: node for node in graph.nodes if node.op == "ConstantOfShape"}
    graph.nodes = [_with_scalars(graph, node, filled) if node.op in ELEMENTWISE else node for node in graph.nodes]


def _row(graph: Graph, name: str) -> Shape | None:
    return graph.tensors[name].row if name in graph.tensors else None


def _with_scalars(graph: Graph, node: GraphNode, filled: dict[str, GraphNode]) -> GraphNode:
    for place, name in enumerate(node.inputs):
        other = node.inputs[1 - place]
        if name in filled and other not in filled and _row(graph, other) == _row(graph, name):
            number = onnx.numpy_helper.to_array(filled[name].attrs["value"])[0]
            scalar = graph.claim(f"{node.name}/scalar")
            graph.constants[scalar] = number.reshape(())
            return replace(node, inputs=(scalar, other) if place == 0 else (other, scalar))
    return node
