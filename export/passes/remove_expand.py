"""What operators repeat by themselves is not spelled out: tensors of one number, and axes of length 1."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from export.libraries import onnx

if TYPE_CHECKING:
    from export.graph.graph import Graph, GraphNode, Shape

ELEMENTWISE = {"Add", "Sub", "Mul", "Div", "Pow", "Max", "Min"}  # they broadcast


def remove_expand(graph: Graph) -> None:
    """Replace the outputs of ``ConstantOfShape`` and ``Expand`` where the other input of an elementwise node is of
    the same shape.
    """
    spelled = {node.outputs[0]: node for node in graph.nodes if node.op in ("ConstantOfShape", "Expand")}
    graph.nodes = [_shortened(graph, node, spelled) if node.op in ELEMENTWISE else node for node in graph.nodes]


def _shortened(graph: Graph, node: GraphNode, spelled: dict[str, GraphNode]) -> GraphNode:
    for position, name in enumerate(node.inputs):
        other = node.inputs[1 - position]
        if name in spelled and other not in spelled and _row(graph, other) == _row(graph, name):
            short = _short(graph, node, spelled[name])
            return replace(node, inputs=(short, other) if position == 0 else (other, short))
    return node


def _short(graph: Graph, node: GraphNode, spelled: GraphNode) -> str:
    if spelled.op == "Expand":
        return spelled.inputs[0]
    scalar = graph.claim(f"{node.name}/scalar")
    graph.constants[scalar] = onnx.numpy_helper.to_array(spelled.attrs["value"])[0].reshape(())
    return scalar


def _row(graph: Graph, name: str) -> Shape | None:
    return graph.tensors[name].row if name in graph.tensors else None
