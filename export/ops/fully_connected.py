"""FullyConnected: Gluon's Dense."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from export.ops.registry import translates

if TYPE_CHECKING:
    from export.graph.graph import Constant, Tensor
    from export.graph.node import Node


@translates("FullyConnected")
def fully_connected(node: Node) -> Tensor:
    """Compute ``x @ weight.T + bias`` over all values of an image if ``flatten``, over the last axis otherwise."""
    hidden = node.attrs.integer("num_hidden", minimum=1)
    no_bias = node.attrs.boolean("no_bias", default=False)
    flatten = node.attrs.boolean("flatten", default=True)
    node.expect_inputs(2 if no_bias else 3)
    data = node.tensor()
    width = math.prod(data.row) if flatten else node.length(len(data.shape) - 1)
    weight = node.parameter(1, (hidden, width))
    bias = () if no_bias else (node.parameter(2, (hidden,)),)
    if len(data.shape) > 2 and not flatten:
        return _per_position(node, data, weight, bias)
    if len(data.shape) > 2:
        data = node.emit("Flatten", (data,), (width,), {"axis": 1}, step="flatten")
    return node.emit("Gemm", (data, weight, *bias), (hidden,), {"transB": 1})


def _per_position(node: Node, data: Tensor, weight: Constant, bias: tuple[Constant, ...]) -> Tensor:
    transposed = node.constant("weight", np.ascontiguousarray(weight.array.T))
    shape = (*data.shape[:-1], weight.array.shape[0])
    if not bias:
        return node.emit_shaped("MatMul", (data, transposed), shape)
    product = node.emit_shaped("MatMul", (data, transposed), shape, step="product")
    return node.emit_shaped("Add", (product, *bias), shape)
