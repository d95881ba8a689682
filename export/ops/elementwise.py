"""Elementwise arithmetic on two tensors, with and without broadcasting."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from export.errors import UnsupportedOpError
from export.graph.graph import BOOL, FLOAT32
from export.graph.shape import broadcast_shape
from export.ops.cast import cast_input
from export.ops.registry import translates

if TYPE_CHECKING:
    import numpy as np

    from export.graph.graph import Tensor
    from export.graph.node import Node
    from export.graph.shape import BatchShape

ONNX_OPS = {
    **{"add": "Add", "sub": "Sub", "mul": "Mul", "div": "Div"},
    **{"power": "Pow", "maximum": "Max", "minimum": "Min"},
}


@translates("elemwise_add", "elemwise_sub", "elemwise_mul", "elemwise_div", "_power", "_maximum", "_minimum")
def elementwise(node: Node) -> Tensor:
    """Combine two tensors of the same shape."""
    left, right = two_alike(node)
    return node.emit_like(left, ONNX_OPS[node.op.removeprefix("elemwise").removeprefix("_")], (left, right))


def two_alike(node: Node) -> tuple[Tensor, Tensor]:
    """Return two inputs, which must have the same shape and type."""
    node.expect_inputs(2)
    left, right = node.tensor(0), node.tensor(1)
    if left.shape != right.shape:
        raise node.malformed(f"its inputs differ in shape: {left.shape} and {right.shape}")
    node.require_one_type(left, right)
    return left, right


@translates("add_n")
def add_n(node: Node) -> Tensor:
    """Add any number of tensors of the same shape."""
    count = node.attrs.integer("num_args", len(node.inputs), minimum=1)
    node.expect_inputs(max(count, 1))
    tensors = tuple(node.tensor(index) for index in range(count))
    if len({tensor.shape for tensor in tensors}) > 1:
        raise node.malformed("its inputs differ in shape")
    node.require_one_type(*tensors)
    return tensors[0] if count == 1 else node.emit_like(tensors[0], "Sum", tensors)


@translates(*(f"broadcast_{name}" for name in ONNX_OPS))
def broadcast(node: Node) -> Tensor:
    """Combine two operands, repeating axes of length 1. The operand with fewer axes is aligned at the last axis."""
    shape = common_shape(node)
    op = ONNX_OPS[node.op.removeprefix("broadcast_")]
    return node.emit_shaped(op, node.inputs, shape, dtype=node.inputs[0].dtype)


def common_shape(node: Node) -> BatchShape:
    """Return the shape to which two inputs, which must have the same type, are broadcast."""
    node.expect_inputs(2)
    node.require_one_type(*node.inputs)
    return _broadcast(node)


def _broadcast(node: Node) -> BatchShape:
    shape = broadcast_shape(node.shape(0), node.shape(1))
    if shape is None:
        raise node.malformed(f"its inputs {node.shape(0)} and {node.shape(1)} cannot be broadcast")
    return shape


NUMPY_OPS = {"add": "Add", "subtract": "Sub", "multiply": "Mul", "true_divide": "Div", "power": "Pow"}


@translates(*(f"_npi_{name}" for name in NUMPY_OPS))
def numpy_arithmetic(node: Node) -> Tensor:
    """Combine two operands as NumPy does: with any number of axes, in the wider of their types."""
    node.expect_inputs(2)
    name = node.op.removeprefix("_npi_")
    dtype = _common_type(*(operand.dtype for operand in node.inputs))
    if name == "true_divide" and dtype.kind != "f":
        dtype = FLOAT32
    if dtype == BOOL:
        raise UnsupportedOpError(
            f"{node.op} {node.name!r}: its inputs are bool; expected numbers. Cast them in the network."
        )
    left, right = (cast_input(node, index, dtype, step) for index, step in enumerate(("left", "right")))
    return node.emit_shaped(NUMPY_OPS[name], (left, right), _broadcast(node), dtype=dtype)


def _common_type(*dtypes: np.dtype[Any]) -> np.dtype[Any]:
    """Return the wider type. Unlike NumPy, MXNet takes float16 and int64 as float16."""
    return max(dtypes, key=lambda dtype: (dtype.kind == "f", dtype.kind != "b", dtype.itemsize))
