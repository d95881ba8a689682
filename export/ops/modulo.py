"""The remainder of a division, with the sign of the divisor; 0 for a division by 0 (``mshadow_op.h``: mod)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from export.graph.graph import BOOL
from export.ops.elementwise import common_shape, two_alike
from export.ops.registry import translates
from export.ops.scalar import tensor_and_number

if TYPE_CHECKING:
    from export.graph.graph import Tensor
    from export.graph.node import Node
    from export.graph.shape import BatchShape


@translates("_mod")
def modulo(node: Node) -> Tensor:
    """Divide tensors of the same shape."""
    left, right = two_alike(node)
    return _remainder(node, left, right, left.shape)


@translates("broadcast_mod")
def broadcast_modulo(node: Node) -> Tensor:
    """Divide operands, repeating axes of length 1."""
    shape = common_shape(node)
    return _remainder(node, node.tensor(0), node.tensor(1), shape)


@translates("_mod_scalar", "_rmod_scalar")
def modulo_number(node: Node) -> Tensor:
    """Divide a tensor by a number, or a number by a tensor."""
    data, constant = tensor_and_number(node)
    number = node.graph.as_tensor(constant)
    left, right = (data, number) if node.op == "_mod_scalar" else (number, data)
    return _remainder(node, left, right, data.shape)


def _remainder(node: Node, left: Tensor, right: Tensor, shape: BatchShape) -> Tensor:
    """Divide by 1 instead of 0, as runtimes stop at integers divided by 0."""
    zero, number = (node.constant(name, np.array(value, left.dtype)) for name, value in (("zero", 0), ("one", 1)))
    by_zero = node.emit_like(right, "Equal", (right, zero), step="by_zero", dtype=BOOL)
    divisor = node.emit_like(right, "Where", (by_zero, number, right), step="divisor", dtype=right.dtype)
    real = left.dtype.kind == "f"
    rest = node.emit_shaped("Mod", (left, divisor), shape, {"fmod": int(real)}, step="rest")
    if real:  # the rest has the sign of the dividend
        sign = node.emit_like(divisor, "Sign", (divisor,), step="sign")
        signed = node.emit_shaped("Mul", (rest, sign), shape, step="signed")
        opposite = node.emit_shaped("Less", (signed, zero), shape, step="opposite", dtype=BOOL)
        moved = node.emit_shaped("Add", (rest, divisor), shape, step="moved")
        rest = node.emit_shaped("Where", (opposite, moved, rest), shape, step="floored", dtype=left.dtype)
    return node.emit_shaped("Where", (by_zero, zero, rest), shape, dtype=left.dtype)
