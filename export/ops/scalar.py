"""Elementwise arithmetic on a tensor and a number."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from export.graph.graph import BOOL, FLOAT32, INT64
from export.ops.cast import cast_input
from export.ops.registry import translates

if TYPE_CHECKING:
    from export.graph.graph import Constant, Operand, Tensor
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


NUMPY_SCALARS = {
    **{"_npi_add_scalar": ("Add", False), "_npi_multiply_scalar": ("Mul", False)},
    **{"_npi_subtract_scalar": ("Sub", False), "_npi_rsubtract_scalar": ("Sub", True)},
    **{"_npi_true_divide_scalar": ("Div", False), "_npi_rtrue_divide_scalar": ("Div", True)},
    **{"_npi_power_scalar": ("Pow", False), "_npi_rpower_scalar": ("Pow", True)},
}


@translates(*NUMPY_SCALARS)
def numpy_scalar(node: Node) -> Tensor:
    """Combine a tensor with a number; truth values become integers, and quotients of integers are real.

    As in MXNet, and unlike NumPy, an integer tensor takes the integer part of the number.
    """
    node.expect_inputs(1)
    node.attrs.ignore("is_int")
    value = node.attrs.real("scalar", 1.0)
    dtype = node.tensor().dtype
    if dtype.kind != "f" and NUMPY_SCALARS[node.op][0] == "Div":
        dtype = FLOAT32
    elif dtype == BOOL:
        dtype = INT64
    data = cast_input(node, 0, dtype, "data")
    return _combined(node, NUMPY_SCALARS[node.op], data, typed_number(node, "scalar", value, dtype))


def typed_number(node: Node, name: str, value: float, dtype: np.dtype[Any]) -> Constant:
    """Make the number of an attribute in a type; integers drop what is behind the point."""
    if dtype.kind != "f":
        limits = np.iinfo(dtype)
        if not limits.min <= value <= limits.max:
            raise node.attrs.unsupported(name, value, f"{limits.min} to {limits.max}, as its input is {dtype}")
        return node.constant(name, np.array(int(value), dtype))
    with np.errstate(over="ignore"):  # as in MXNet, numbers beyond float16 become infinite
        return node.constant(name, np.array(value, dtype))


def _combined(node: Node, how: tuple[str, bool], data: Operand, number: Constant) -> Tensor:
    op, number_first = how
    return node.emit_shaped(op, (number, data) if number_first else (data, number), node.shape(), dtype=data.dtype)
