"""Compute normalization in float32 within float16 networks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from export.graph.graph import FLOAT32, Constant

if TYPE_CHECKING:
    from export.graph.graph import Graph

# Batch norm's statistics are float32, and LRN's alpha / size is too small for float16.
SINGLE = {"BatchNormalization", "LRN"}


def keep_float32(graph: Graph) -> None:
    """Add casts before and after the nodes of `SINGLE` whose input is float16."""
    nodes, graph.nodes = graph.nodes, []
    for node in nodes:
        if node.op not in SINGLE or graph.tensors[node.inputs[0]].dtype == FLOAT32:
            graph.nodes.append(node)
            continue
        data = graph.tensors[node.inputs[0]]
        parameters = tuple(Constant(name, graph.constants[name]) for name in node.inputs[1:])
        single = graph.cast(data, FLOAT32, f"{node.name}/single")
        norm = graph.add(node.op, f"{node.name}/norm", (single, *parameters), data.row, node.attrs)
        graph.cast_to(graph.tensors[node.outputs[0]], norm, node.name)
