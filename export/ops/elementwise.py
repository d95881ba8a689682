"""Elementwise arithmetic on two tensors, with and without broadcasting."""

from __future__ import annotations

from typing import TYPE_CHECKING

from export.graph.graph import Constant, Tensor
from export.graph.shape import broadcast_shape
from export.ops.registry import translates

if TYPE_CHECKING:
    from export.graph.node import Node

ONNX_OPS = {
    **{"add": "Add", "sub": "Sub", "mul": "Mul", "div": "Div"},
    **{"power": "Pow", "maximum": "Max", "minimum": "Min"},
}


@translates("elemwise_add", "elemwise_sub", "elemwise_mul", "elemwise_div", "_power", "_maximum", "_minimum")
def elementwise(node: Node) -> Tensor:
    """Combine two tensors of the same shape."""
    node.expect_inputs(2)
    left, right = node.tensor(0), node.tensor(1)
    if left.shape != right.shape:
        raise node.malformed(f"its inputs differ in shape: {left.shape} and {right.shape}")
    node.require_one_type(left, right)
    return node.emit_like(left, ONNX_OPS[node.op.removeprefix("elemwise").removeprefix("_")], (left, right))


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
    """Combine two operands, repeating axes of length 1. A parameter may have fewer axes than the tensor."""
    node.expect_inputs(2)
    left, right = node.inputs
    dtypes = {operand.dtype for operand in (left, right)}
    if len(dtypes) > 1:
        raise node.malformed(f"its inputs are {' and '.join(sorted(map(str, dtypes)))}")
    shapes = node.shape(0), node.shape(1)
    shape = broadcast_shape(*shapes)
    aligned = len(shapes[0]) == len(shapes[1]) or isinstance(left, Constant) or isinstance(right, Constant)
    if shape is None or not aligned:
        raise node.malformed(f"its inputs {shapes[0]} and {shapes[1]} cannot be broadcast")
    return node.emit_shaped(ONNX_OPS[node.op.removeprefix("broadcast_")], (left, right), shape, dtype=left.dtype)
