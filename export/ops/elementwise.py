"""Elementwise arithmetic on tensors and parameters: sums, products, powers, extremes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from export.errors import UnsupportedOpError
from export.graph.graph import Constant, Tensor
from export.ops.registry import translates

if TYPE_CHECKING:
    from export.graph.graph import Operand, Shape
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
    if left.row != right.row:
        raise node.malformed(f"its inputs differ in shape: {left.row} and {right.row}")
    node.require_one_type(left, right)
    return node.emit(ONNX_OPS[node.op.removeprefix("elemwise").removeprefix("_")], (left, right), left.row)


@translates("add_n")
def add_n(node: Node) -> Tensor:
    """Add any number of tensors of the same shape."""
    count = node.attrs.integer("num_args", len(node.inputs), minimum=1)
    node.expect_inputs(max(count, 1))
    tensors = tuple(node.tensor(index) for index in range(count))
    if len({tensor.row for tensor in tensors}) > 1:
        raise node.malformed("its inputs differ in shape")
    node.require_one_type(*tensors)
    return tensors[0] if count == 1 else node.emit("Sum", tensors, tensors[0].row)


@translates(*(f"broadcast_{name}" for name in ONNX_OPS))
def broadcast(node: Node) -> Tensor:
    """Combine two operands, repeating axes of length 1. A parameter may have fewer axes than the tensor."""
    node.expect_inputs(2)
    left, right = node.inputs
    if isinstance(left, Constant) and isinstance(right, Constant):
        raise UnsupportedOpError(f"{node.op} {node.name!r}: both inputs are parameters; store their result instead.")
    tensor = left if isinstance(left, Tensor) else node.tensor(1)
    dtypes = {operand.dtype for operand in (left, right)}
    if len(dtypes) > 1:
        raise node.malformed(f"its inputs are {' and '.join(sorted(map(str, dtypes)))}")
    rows = [_row(node, operand, len(tensor.row)) for operand in (left, right)]
    row = _broadcast_row(node, *rows)
    return node.emit(ONNX_OPS[node.op.removeprefix("broadcast_")], (left, right), row)


def _row(node: Node, operand: Operand, axes: int) -> Shape:
    """Return the shape without N; a parameter's is extended with axes of length 1 in front."""
    if isinstance(operand, Tensor):
        return operand.row
    shape = (*(1 for _ in range(axes + 1 - operand.array.ndim)), *operand.array.shape)
    if shape[0] != 1:
        raise node.malformed(
            f"parameter {operand.name!r} of the shape {operand.array.shape} differs between images; "
            "expected a first axis of length 1"
        )
    return shape[1:]


def _broadcast_row(node: Node, left: Shape, right: Shape) -> Shape:
    if len(left) != len(right) or any(a != b and 1 not in (a, b) for a, b in zip(left, right, strict=True)):
        raise node.malformed(f"its inputs {left} and {right} cannot be broadcast")
    return tuple(max(a, b) for a, b in zip(left, right, strict=True))
