"""Arithmetic between a tensor and a number."""

from __future__ import annotations

from typing import TYPE_CHECKING

from export.graph.graph import BOOL, FLOAT32, FLOAT64, INT64, Constant
from export.ops.cast import cast_input
from export.ops.registry import translates

if TYPE_CHECKING:
    from export.graph.graph import Tensor
    from export.graph.node import Node

# MXNet's operator -> ONNX's operator, and whether the number comes first
SCALARS = {
    **{"_plus_scalar": ("Add", False), "_npi_add_scalar": ("Add", False)},
    **{"_minus_scalar": ("Sub", False), "_npi_subtract_scalar": ("Sub", False)},
    **{"_rminus_scalar": ("Sub", True), "_npi_rsubtract_scalar": ("Sub", True)},
    **{"_mul_scalar": ("Mul", False), "_npi_multiply_scalar": ("Mul", False)},
    **{"_div_scalar": ("Div", False), "_npi_true_divide_scalar": ("Div", False)},
    **{"_rdiv_scalar": ("Div", True), "_npi_rtrue_divide_scalar": ("Div", True)},
    **{"_power_scalar": ("Pow", False), "_npi_power_scalar": ("Pow", False)},
    **{"_rpower_scalar": ("Pow", True), "_npi_rpower_scalar": ("Pow", True)},
    **{"_maximum_scalar": ("Max", False), "_minimum_scalar": ("Min", False)},
}
QUOTIENTS = ("_npi_true_divide_scalar", "_npi_rtrue_divide_scalar")  # real, even of integers


@translates(*SCALARS)
def scalar(node: Node) -> Tensor:
    """Combine a tensor with a number, by default 1 (``elemwise_binary_scalar_op.h``: NumpyBinaryScalarParam)."""
    data, number = tensor_and_number(node)
    op, number_first = SCALARS[node.op]
    return node.emit_like(data, op, (number, data) if number_first else (data, number), dtype=data.dtype)


def tensor_and_number(node: Node) -> tuple[Tensor, Constant]:
    """Return input 0 and the attribute ``scalar`` in one type.

    With integers and booleans, a real number makes both float64. A whole number, the default, has its fraction cut
    off, and makes booleans int64 (``elemwise_binary_scalar_op.h``: NumpyBinaryScalarType).
    """
    node.expect_inputs(1)
    whole, dtype = node.attrs.boolean("is_int", default=True), node.inputs[0].dtype
    if dtype.kind != "f" and node.op in QUOTIENTS:
        dtype = FLOAT32
    elif dtype.kind != "f" and not whole:
        dtype = FLOAT64
    elif dtype == BOOL:
        dtype = INT64
    data = cast_input(node, 0, dtype, "data")
    number = node.number("scalar", node.attrs.real("scalar", 1.0), dtype)
    return node.graph.as_tensor(data) if isinstance(data, Constant) else data, number
