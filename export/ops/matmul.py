"""batch_dot: matrix products, image by image."""

from __future__ import annotations

from typing import TYPE_CHECKING

from export.ops.registry import translates

if TYPE_CHECKING:
    from export.graph.graph import Tensor
    from export.graph.node import Node


@translates("batch_dot")
def batch_dot(node: Node) -> Tensor:
    """Multiply (N, ..., M, K) by (N, ..., K, P). ``transpose_a`` and ``transpose_b`` swap the last two axes first."""
    node.expect_inputs(2)
    node.attrs.choice("forward_stype", ("default",), "default")
    left, right = node.tensor(0), node.tensor(1)
    node.require_one_type(left, right)
    if len(left.shape) < 3 or left.shape[:-2] != right.shape[:-2]:
        raise node.malformed(f"its inputs {left.shape} and {right.shape} are not matrices for each image")
    if node.attrs.boolean("transpose_a", default=False):
        left = _transposed(node, left, "left")
    if node.attrs.boolean("transpose_b", default=False):
        right = _transposed(node, right, "right")
    if left.shape[-1] != right.shape[-2]:
        raise node.malformed(f"its inputs {left.shape} and {right.shape} cannot be multiplied")
    return node.emit_shaped("MatMul", (left, right), (*left.shape[:-1], right.shape[-1]))


def _transposed(node: Node, matrix: Tensor, step: str) -> Tensor:
    axes = len(matrix.shape)
    shape = (*matrix.shape[:-2], matrix.shape[-1], matrix.shape[-2])
    return node.emit_shaped("Transpose", (matrix,), shape, {"perm": (*range(axes - 2), axes - 1, axes - 2)}, step=step)
