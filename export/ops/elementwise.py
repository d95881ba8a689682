"""Sums, differences, products and quotients of two tensors."""

from __future__ import annotations

from typing import TYPE_CHECKING

from export.registry import translates

if TYPE_CHECKING:
    from export.graph import Shape, Tensor
    from export.node import Node

ONNX_OPS = {"add": "Add", "sub": "Sub", "mul": "Mul", "div": "Div"}


@translates("elemwise_add", "elemwise_sub", "elemwise_mul", "elemwise_div")
def elementwise(node: Node) -> Tensor:
    """Both inputs have the same shape."""
    node.expect_inputs(2)
    left, right = node.tensor(0), node.tensor(1)
    if left.row != right.row:
        raise node.malformed(f"its inputs differ in shape: {left.row} and {right.row}")
    node.require_one_type(left, right)
    return node.emit(ONNX_OPS[node.op.removeprefix("elemwise_")], (left, right), left.row)


@translates("broadcast_add", "broadcast_sub", "broadcast_mul", "broadcast_div")
def broadcast(node: Node) -> Tensor:
    """An axis of length 1 is repeated; the number of axes is the same."""
    node.expect_inputs(2)
    left, right = node.tensor(0), node.tensor(1)
    node.require_one_type(left, right)
    row = _broadcast_row(node, left.row, right.row)
    return node.emit(ONNX_OPS[node.op.removeprefix("broadcast_")], (left, right), row)


def _broadcast_row(node: Node, left: Shape, right: Shape) -> Shape:
    if len(left) != len(right) or any(a != b and 1 not in (a, b) for a, b in zip(left, right, strict=True)):
        raise node.malformed(f"its inputs {left} and {right} cannot be broadcast")
    return tuple(max(a, b) for a, b in zip(left, right, strict=True))
