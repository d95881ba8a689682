"""Elementwise arithmetic on a tensor and a number."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from export.ops.registry import translates

if TYPE_CHECKING:
    from export.graph.graph import Constant, Tensor
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
    data, number = tensor_and_number(node)
    op, number_first = SCALARS[node.op]
    return node.emit_like(data, op, (number, data) if number_first else (data, number))


def tensor_and_number(node: Node) -> tuple[Tensor, Constant]:
    """Return input 0 and the attribute ``scalar`` in one type.

    Beside integers a real number makes both float64; a whole number, the default, has its fraction cut off
    (``elemwise_binary_scalar_op.h``: NumpyBinaryScalarType).
    """
    node.expect_inputs(1)
    data = node.tensor()
    if not node.attrs.boolean("is_int", default=True) and data.dtype.kind != "f":
        data = node.graph.cast(data, np.dtype(np.float64), f"{node.name}/real")
    with np.errstate(over="ignore"):  # as in MXNet, numbers beyond float16 become infinite
        number = np.array(node.attrs.real("scalar", 1.0)).astype(data.dtype)
    return data, node.constant("scalar", number)
