"""Compute a float32 network in float16 where that is safe. Its input and outputs stay float32."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from export.errors import UnsupportedOpError
from export.graph.graph import FLOAT16, FLOAT32

if TYPE_CHECKING:
    from export.graph.graph import Graph, GraphNode

HEAVY = {"Conv", "ConvTranspose", "Gemm", "MatMul"}
# Computed in the precision of their inputs, so that what starts in float32, such as a sum of squares, stays there.
# Others (powers, quotients, exponentials, long sums) may leave float16's range, 6e-8 to 65,504.
FOLLOWING = {
    *("Relu", "LeakyRelu", "PRelu", "Sigmoid", "HardSigmoid", "Tanh", "Clip"),
    *("MaxPool", "AveragePool", "GlobalAveragePool", "GlobalMaxPool"),
    *("Add", "Sub", "Sum", "Mul", "Max", "Min", "Concat"),
    *("Flatten", "Reshape", "Transpose", "Slice", "Pad", "Resize", "Expand", "DepthToSpace", "SpaceToDepth"),
}
NORMALIZED = {"BatchNormalization", "InstanceNormalization", "LRN", "Softmax"}  # in float32, with small outputs
LARGEST = float(np.finfo(np.float16).max)


def to_float16(graph: Graph) -> None:
    """Compute convolutions, matrix products and what follows them in float16, with casts at the borders.

    A node whose parameters exceed float16's range stays in float32. A tensor that several nodes take is cast once.

    Raises
    ------
    UnsupportedOpError
        If the network already uses float16.
    """
    if any(tensor.dtype == FLOAT16 for tensor in graph.tensors.values()):
        raise UnsupportedOpError("the network already computes in float16. Export it without --precision.")
    nodes, graph.nodes = graph.nodes, []
    with np.errstate(all="ignore"):  # signalling NaN in parameters
        half = _halved(graph, nodes)
    in_single = {name for node in nodes if node.outputs[0] not in half for name in node.inputs}
    casts: dict[str, str] = {}
    for node in nodes:
        if node.outputs[0] in half:
            _add_half(graph, node, in_single, casts)
        else:
            inputs = tuple(_single(graph, name, casts) for name in node.inputs)
            graph.nodes.append(replace(node, inputs=inputs))
    graph.drop_unused()


def _halved(graph: Graph, nodes: list[GraphNode]) -> set[str]:
    """Return the outputs of the nodes to compute in float16."""
    half: set[str] = set()
    bounded: set[str] = set()
    for node in nodes:
        tensors = [name for name in node.inputs if name in graph.tensors]
        arrays = [graph.constants[name] for name in node.inputs if name in graph.constants]
        fits = all(np.abs(array).max(initial=0) <= LARGEST for array in arrays if array.dtype == FLOAT32)
        follows = node.op in FOLLOWING and all(name in half or name in bounded for name in tensors)
        square = node.op == "Mul" and len(set(node.inputs)) == 1
        real = all(graph.tensors[name].dtype == FLOAT32 for name in node.outputs)
        if fits and real and (node.op in HEAVY or (follows and not square)):
            half.update(node.outputs)
        elif node.op in NORMALIZED:
            bounded.update(node.outputs)
    return half


def _add_half(graph: Graph, node: GraphNode, in_single: set[str], casts: dict[str, str]) -> None:
    converted = node.inputs[:1] if node.op == "Resize" else node.inputs  # its scales are always float32
    inputs = (*(_half(graph, name, in_single, casts) for name in converted), *node.inputs[len(converted) :])
    output = graph.tensors[node.outputs[0]]
    if output.name not in graph.outputs:
        graph.tensors[output.name] = replace(output, dtype=FLOAT16)
        graph.nodes.append(replace(node, inputs=inputs))
        return
    inner = replace(output, name=graph.claim(f"{output.name}/half"), dtype=FLOAT16)
    graph.tensors[inner.name] = inner
    graph.nodes.append(replace(node, inputs=inputs, outputs=(inner.name,)))
    graph.cast_to(output, inner, f"{output.name}/single")


def _half(graph: Graph, name: str, in_single: set[str], casts: dict[str, str]) -> str:
    """Return the name of a float32 tensor or parameter in float16. Other types keep their name."""
    tensor, array = graph.tensors.get(name), graph.constants.get(name)
    if tensor is not None and tensor.dtype == FLOAT32:
        if name not in casts:
            casts[name] = graph.cast(tensor, FLOAT16, f"{name}/half").name
        return casts[name]
    if array is not None and array.dtype == FLOAT32:
        own = name if name not in in_single else casts.setdefault(name, f"{name}/half")
        with np.errstate(all="ignore"):
            graph.constants[own] = array.astype(FLOAT16)
        return own
    return name


def _single(graph: Graph, name: str, casts: dict[str, str]) -> str:
    tensor = graph.tensors.get(name)
    if tensor is None or tensor.dtype != FLOAT16:
        return name
    if name not in casts:
        casts[name] = graph.cast(tensor, FLOAT32, f"{name}/single").name
    return casts[name]
