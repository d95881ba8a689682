"""ONNX's LRN by operators that runtimes have fast kernels for."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from export.graph import Graph, GraphNode, Tensor

# The matrix grows with the square of the channels. onnxruntime 1.31, 2 CPU cores, 32 x 192 x 56 x 56: LRN kernel
# 250 ms, matrix and roots 70 ms, matrix and Pow 101 ms; at 1024 channels there is nothing left to gain.
MAX_MATRIX_CHANNELS = 256
TO_LAST, TO_FIRST = {"perm": (0, 2, 3, 1)}, {"perm": (0, 3, 1, 2)}


def use_matrices(graph: Graph, *, for_int8: bool = False) -> None:
    """Replace LRN of at most `MAX_MATRIX_CHANNELS` channels.

    Parameters
    ----------
    graph : Graph
        Changed in place.
    for_int8 : bool
        Take the form that is to be quantised. onnxruntime lays int8 out with channels last: so are the sums here, and
        no more than the input and the factor that it is multiplied by pass between int8 and single precision.

    Notes
    -----
    ``x / (bias + alpha / size * sum of x^2 over size neighbouring channels) ** beta``: the sum is a product with a
    banded matrix, hence a 1x1 convolution, whose bias is that of the LRN. In onnxruntime this is 3.6 to 7 times as
    fast as its own LRN kernel.
    """
    nodes, graph.nodes = graph.nodes, []
    for node in nodes:
        if node.op != "LRN" or graph.tensors[node.inputs[0]].row[0] > MAX_MATRIX_CHANNELS:
            graph.nodes.append(node)
        else:
            with np.errstate(over="ignore"):  # numbers beyond float32 are infinite, as in MXNet
                (_multiply if for_int8 else _divide)(graph, node)


def _divide(graph: Graph, node: GraphNode) -> None:
    data, output = graph.tensors[node.inputs[0]], graph.tensors[node.outputs[0]]
    window = graph.constant(f"{node.name}/window", _band(data.row[0], node)[:, :, None, None])
    bias = graph.constant(f"{node.name}/bias", np.full(data.row[0], node.attrs["bias"], np.float32))
    square = graph.add("Mul", f"{node.name}/square", (data, data), data.row, {})
    energy = graph.add("Conv", f"{node.name}/energy", (square, window, bias), data.row, {"kernel_shape": (1, 1)})
    graph.produce(output, "Div", node.name, (data, _power(graph, node, energy)), {})


def _multiply(graph: Graph, node: GraphNode) -> None:
    data, output = graph.tensors[node.inputs[0]], graph.tensors[node.outputs[0]]
    row = (*data.row[1:], data.row[0])  # (H, W, C)
    two = graph.constant(f"{node.name}/two", np.array(2, np.float32))
    window = graph.constant(f"{node.name}/window", _band(data.row[0], node))
    bias = graph.constant(f"{node.name}/bias", np.array(node.attrs["bias"], np.float32))
    last = graph.add("Transpose", f"{node.name}/channels_last", (data,), row, TO_LAST)
    square = graph.add("Pow", f"{node.name}/square", (last, two), row, {})
    total = graph.add("MatMul", f"{node.name}/sum", (square, window), row, {})
    energy = graph.add("Add", f"{node.name}/energy", (total, bias), row, {})
    factor = graph.add("Reciprocal", f"{node.name}/factor", (_power(graph, node, energy),), row, {})
    first = graph.add("Transpose", f"{node.name}/channels_first", (factor,), data.row, TO_FIRST)
    graph.produce(output, "Mul", node.name, (data, first), {})


def _band(channels: int, node: GraphNode) -> NDArray[np.float32]:
    """(C, C): alpha / size where two channels belong to one window; symmetric."""
    index, radius = np.arange(channels), node.attrs["size"] // 2
    near = np.abs(index[:, None] - index) <= radius
    return np.where(near, node.attrs["alpha"] / node.attrs["size"], 0).astype(np.float32)


def _power(graph: Graph, node: GraphNode, energy: Tensor) -> Tensor:
    """``energy ** beta``; for 3/4, the usual one, the root of the root's cube: the fastest of kernels."""
    prefix, row = f"{node.name}/", energy.row
    if node.attrs["beta"] != 0.75:
        exponent = graph.constant(f"{prefix}beta", np.array(node.attrs["beta"], np.float32))
        return graph.add("Pow", f"{prefix}power", (energy, exponent), row, {})
    three = graph.constant(f"{prefix}three", np.array(3, np.float32))
    root = graph.add("Sqrt", f"{prefix}root", (energy,), row, {})
    cube = graph.add("Pow", f"{prefix}cube", (root, three), row, {})
    return graph.add("Sqrt", f"{prefix}power", (cube,), row, {})
