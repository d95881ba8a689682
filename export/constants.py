"""Fold nodes that depend on parameters only, such as the weight of a weight-normalized layer."""

from __future__ import annotations

from typing import TYPE_CHECKING

from export.graph.graph import Constant, Graph, Operand, Tensor
from export.graph.model import DEFAULT_OPSET, build_model
from export.runner import open_model

if TYPE_CHECKING:
    from export.graph.graph import GraphNode


def evaluate_constants(graph: Graph, start: int, outputs: tuple[Operand, ...]) -> tuple[Operand, ...]:
    """Fold the nodes from ``start`` on into constants, if all their inputs are constants.

    Parameters
    ----------
    graph : Graph
        Under construction; ``start`` is the number of its nodes before one MXNet node was translated.
    start : int
        Index of the first node to fold.
    outputs : tuple of Tensor or Constant
        Outputs of the MXNet node.

    Returns
    -------
    tuple of Tensor or Constant
        The outputs, as constants where that is possible.
    """
    nodes = graph.nodes[start:]
    made = {name for node in nodes for name in node.outputs}
    if nodes and all(name in made or name in graph.constants or not name for node in nodes for name in node.inputs):
        arrays = _run(graph, nodes, [output for output in outputs if output.name in made])
        graph.nodes[start:] = []
        for name in made:
            del graph.tensors[name]
        outputs = tuple(arrays.get(output.name, output) for output in outputs)
    return tuple(
        Constant(output.name, graph.constants[output.name])
        if isinstance(output, Tensor) and output.name in graph.constants
        else output
        for output in outputs
    )


def _run(graph: Graph, nodes: list[GraphNode], outputs: list[Operand]) -> dict[str, Operand]:
    """Run nodes that take only constants with onnxruntime."""
    names = [output.name for output in outputs]
    part = Graph(outputs=names)
    part.nodes = nodes
    part.constants = {name: graph.constants[name] for node in nodes for name in node.inputs if name in graph.constants}
    part.tensors = {name: graph.tensors[name] for node in nodes for name in node.outputs}
    arrays = open_model(build_model(part, DEFAULT_OPSET)).run(names, {})
    return {name: Constant(name, array) for name, array in zip(names, arrays, strict=True)}
