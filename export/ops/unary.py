"""Elementwise functions of one tensor."""

from __future__ import annotations

from typing import TYPE_CHECKING

from export.ops.registry import translates

if TYPE_CHECKING:
    from export.graph.graph import Tensor
    from export.graph.node import Node

ONNX_OPS = {
    **{"abs": "Abs", "ceil": "Ceil", "erf": "Erf", "exp": "Exp", "floor": "Floor", "log": "Log"},
    **{"negative": "Neg", "reciprocal": "Reciprocal", "sign": "Sign", "sqrt": "Sqrt"},
    **{"sin": "Sin", "cos": "Cos", "tan": "Tan", "arcsin": "Asin", "arccos": "Acos", "arctan": "Atan"},
    **{"sinh": "Sinh", "cosh": "Cosh", "arcsinh": "Asinh", "arccosh": "Acosh", "arctanh": "Atanh"},
}


@translates(*ONNX_OPS)
def unary(node: Node) -> Tensor:
    """Apply the function that the operator is named after."""
    node.expect_inputs(1)
    data = node.tensor()
    return node.emit_like(data, ONNX_OPS[node.op], (data,))


@translates("square")
def square(node: Node) -> Tensor:
    """Compute ``x * x``. ONNX has no operator for squares."""
    node.expect_inputs(1)
    data = node.tensor()
    return node.emit_like(data, "Mul", (data, data))


@translates("hard_sigmoid")
def hard_sigmoid(node: Node) -> Tensor:
    """Compute ``alpha x + beta``, limited to 0 to 1 (``elemwise_unary_op.h``: HardSigmoidParam)."""
    node.expect_inputs(1)
    attrs = {"alpha": node.attrs.real("alpha", 0.2), "beta": node.attrs.real("beta", 0.5)}
    data = node.tensor()
    return node.emit_like(data, "HardSigmoid", (data,), attrs)
