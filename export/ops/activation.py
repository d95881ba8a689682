"""Activation, relu, sigmoid, softsign, tanh: elementwise."""

from __future__ import annotations

from typing import TYPE_CHECKING

from export.ops.registry import translates

if TYPE_CHECKING:
    from export.graph.graph import Tensor
    from export.graph.node import Node

ONNX_OPS = {"relu": "Relu", "sigmoid": "Sigmoid", "softrelu": "Softplus", "softsign": "Softsign", "tanh": "Tanh"}


@translates("Activation")
def activation(node: Node) -> Tensor:
    """Apply the function that ``act_type`` names."""
    kind = node.attrs.choice("act_type", tuple(ONNX_OPS))
    return _elementwise(node, kind)


@translates("relu", "sigmoid", "softsign", "tanh")
def named_activation(node: Node) -> Tensor:
    """Apply the function that the operator is named after."""
    return _elementwise(node, node.op)


def _elementwise(node: Node, kind: str) -> Tensor:
    node.expect_inputs(1)
    data = node.tensor()
    return node.emit_like(data, ONNX_OPS[kind], (data,))
