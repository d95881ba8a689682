"""Elementwise arithmetic on a tensor and a number."""

from __future__ import annotations

from typing import TYPE_CHECKING

from export.ops.registry import translates

if TYPE_CHECKING:
    from export.graph.graph import Tensor
    from export.graph.node import Node

# MXNet's operator -> ONNX's operator, and whether the number comes first
SCALARS = {
    "_plus_scalar": ("Add", False),
    "_minus_scalar": ("Sub", False),
    "_rminus_scalar": ("Sub", True),
    "_mul_scalar": ("Mul", False),
    "_div_scalar": ("Div", False),
    "_rdiv_scalar": ("Div", True),
    "_power_scalar": ("Pow", False),
    "_rpower_scalar": ("Pow", True),
    "_maximum_scalar": ("Max", False),
    "_minimum_scalar": ("Min", False),
}


@translates(*SCALARS)
def scalar(node: Node) -> Tensor:
    """Combine a tensor with a number, by default 1 (``elemwise_binary_scalar_op.h``: NumpyBinaryScalarParam)."""
    node.expect_inputs(1)
    data = node.tensor()
    node.attrs.ignore("is_int")  # how the number was written; tensors hold real numbers in any case
    number = node.number("scalar", node.attrs.real("scalar", 1.0))
    op, number_first = SCALARS[node.op]
    return node.emit_like(data, op, (number, data) if number_first else (data, number))
