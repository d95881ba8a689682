"""Replace ONNX's LRN by operators for which runtimes have fast kernels."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from export.graph.graph import Graph, GraphNode, Tensor

# The matrix grows with the square of the channels. onnxruntime 1.31, 2 CPU cores, 32 x 192 x 56 x 56: LRN kernel
# 250 ms, matrix and roots 70 ms, matrix and Pow 101 ms; at 1024 channels there is no gain.
MAX_MATRIX_CHANNELS = 256


def lrn_as_matmul(graph: Graph) -> None:
    """Replace LRN of at most `MAX_MATRIX_CHANNELS` channels.

    Notes
    -----
    ``x / (bias + alpha / size * sum of x^2 over size neighboring channels) ** beta``: the sum is a product with a
    banded matrix, hence a 1 x 1 convolution with LRN's bias. In onnxruntime this is 3.6 to 7 times as fast as its own
    LRN kernel. The last node is a product instead of a quotient, as int8 has kernels for products.
    """
    nodes, graph.nodes = graph.nodes, []
    for node in nodes:
        if node.op == "LRN" and graph.tensors[node.inputs[0]].row[0] <= MAX_MATRIX_CHANNELS:
            with np.errstate(over="ignore"):  # numbers beyond float32 become infinite, as in MXNet
                _add_matrix(graph, node)
        else:
            graph.nodes.append(node)


def _add_matrix(graph: Graph, node: GraphNode) -> None:
    data, output = graph.tensors[node.inputs[0]], graph.tensors[node.outputs[0]]
    channels = data.row[0]
    window = graph.constant(f"{node.name}/window", _band(channels, node)[:, :, None, None])
    bias = graph.constant(f"{node.name}/bias", np.full(channels, node.attrs["bias"], np.float32))
    square = graph.add("Mul", f"{node.name}/square", (data, data), data.row)
    energy = graph.add("Conv", f"{node.name}/energy", (square, window, bias), data.row, {"kernel_shape": (1, 1)})
    factor = graph.add("Reciprocal", f"{node.name}/factor", (_power(graph, node, energy),), data.row)
    graph.produce(output, "Mul", node.name, (data, factor))


def _band(channels: int, node: GraphNode) -> NDArray[np.float32]:
    """Return (C, C), symmetric: alpha / size where two channels share a window, otherwise 0."""
    index, radius = np.arange(channels), node.attrs["size"] // 2
    near = np.abs(index[:, None] - index) <= radius
    return np.where(near, node.attrs["alpha"] / node.attrs["size"], 0).astype(np.float32)


def _power(graph: Graph, node: GraphNode, energy: Tensor) -> Tensor:
    """Compute ``energy ** beta``. For the usual 3/4, the root of the cubed root is the fastest form."""
    prefix, row = f"{node.name}/", energy.row
    if node.attrs["beta"] != 0.75:
        exponent = graph.constant(f"{prefix}beta", np.array(node.attrs["beta"], np.float32))
        return graph.add("Pow", f"{prefix}power", (energy, exponent), row)
    three = graph.constant(f"{prefix}three", np.array(3, np.float32))
    root = graph.add("Sqrt", f"{prefix}root", (energy,), row)
    cube = graph.add("Pow", f"{prefix}cube", (root, three), row)
    return graph.add("Sqrt", f"{prefix}power", (cube,), row)
