"""Elementwise functions that ONNX does not have, composed so that they are as exact as MXNet's."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from export.ops.registry import translates

if TYPE_CHECKING:
    from collections.abc import Callable

    from export.graph.graph import Tensor
    from export.graph.node import Node

FACTORS = {"log2": 1 / math.log(2), "log10": 1 / math.log(10)}  # of the natural logarithm
ANGLES = {"degrees": 180 / math.pi, "radians": math.pi / 180}


def _steps(node: Node) -> Callable[..., Tensor]:
    """Return a function that appends an ONNX node with the shape of input 0; without ``step``, it is the last one."""
    data = node.real_tensor()
    return lambda op, *inputs, step="": node.emit_like(data, op, inputs, step=step)


@translates(*FACTORS)
def logarithm(node: Node) -> Tensor:
    """Compute the natural logarithm times a factor."""
    node.expect_inputs(1)
    add = _steps(node)
    return add("Mul", add("Log", node.tensor(), step="log"), node.number("factor", FACTORS[node.op]))


@translates(*ANGLES)
def angle(node: Node) -> Tensor:
    """Convert radians to degrees or back."""
    node.expect_inputs(1)
    return _steps(node)("Mul", node.tensor(), node.number("factor", ANGLES[node.op]))


@translates("log1p")
def log1p(node: Node) -> Tensor:
    """Compute log(1 + x), also where x is too small for the sum.

    Notes
    -----
    With y = x limited to -1/2 to 1: ``log(1 + x) = 2 artanh(y / (2 + y)) + log((1 + x) / (1 + y))``. The second term is
    0 within the limits, where the first loses no digits. Outside of them the first is constant.
    """
    node.expect_inputs(1)
    data, add = node.tensor(), _steps(node)
    low, unit, two = (node.number(name, value) for name, value in (("low", -0.5), ("one", 1), ("two", 2)))
    near = add("Clip", data, low, unit, step="near")
    ratio = add("Div", near, add("Add", near, two, step="shifted"), step="ratio")
    curve = add("Mul", add("Atanh", ratio, step="artanh"), two, step="curve")
    raised = add("Add", data, unit, step="raised")
    rest = add("Div", raised, add("Add", near, unit, step="raised_near"), step="rest")
    return add("Add", curve, add("Log", rest, step="log"))


@translates("expm1")
def expm1(node: Node) -> Tensor:
    """Compute e^x - 1 as ``tanh(x / 2) (e^x + 1)``, which loses no digits near 0."""
    node.expect_inputs(1)
    data, add = node.tensor(), _steps(node)
    tanh = add("Tanh", add("Mul", data, node.number("half", 0.5), step="halved"), step="tanh")
    raised = add("Add", add("Exp", data, step="exp"), node.number("one", 1), step="raised")
    return add("Mul", tanh, raised)


@translates("rsqrt")
def rsqrt(node: Node) -> Tensor:
    """Compute 1 / sqrt(x)."""
    node.expect_inputs(1)
    add = _steps(node)
    return add("Reciprocal", add("Sqrt", node.tensor(), step="root"))


@translates("cbrt", "rcbrt")
def cube_root(node: Node) -> Tensor:
    """Compute the real cube root, which has the sign of x, or its reciprocal."""
    node.expect_inputs(1)
    data, add = node.tensor(), _steps(node)
    root = add("Pow", add("Abs", data, step="magnitude"), node.number("third", 1 / 3), step="root")
    sign = add("Sign", data, step="sign")
    return add("Mul", sign, root) if node.op == "cbrt" else add("Reciprocal", add("Mul", sign, root, step="signed"))


@translates("fix", "trunc")
def truncate(node: Node) -> Tensor:
    """Round toward zero."""
    node.expect_inputs(1)
    data, add = node.tensor(), _steps(node)
    whole = add("Floor", add("Abs", data, step="magnitude"), step="whole")
    return add("Mul", add("Sign", data, step="sign"), whole)


@translates("round")
def round_away(node: Node) -> Tensor:
    """Round halves away from zero, as C does. ONNX's Round takes them to the even number.

    The fraction is doubled and rounded down, as adding 0.5 would round 0.49999997 up.
    """
    node.expect_inputs(1)
    data, add = node.tensor(), _steps(node)
    magnitude = add("Abs", data, step="magnitude")
    whole = add("Floor", magnitude, step="whole")
    fraction = add("Sub", magnitude, whole, step="fraction")
    up = add("Floor", add("Add", fraction, fraction, step="doubled"), step="up")
    return add("Mul", add("Sign", data, step="sign"), add("Add", whole, up, step="rounded"))


@translates("rint")
def round_down(node: Node) -> Tensor:
    """Round to the nearest integer, halves to the lower one (``mshadow_op.h``: rint)."""
    node.expect_inputs(1)
    data, add = node.tensor(), _steps(node)
    whole = add("Floor", data, step="whole")
    below = add("Sub", data, whole, step="below")
    above = add("Sub", add("Ceil", data, step="ceiling"), data, step="above")
    nearer = add("Relu", add("Sub", below, above, step="difference"), step="nearer")  # to the ceiling
    return add("Add", whole, add("Sign", nearer, step="up"))


@translates("smooth_l1")
def smooth_l1(node: Node) -> Tensor:
    """Compute ``(s x)^2 / 2`` where ``|x| < 1 / s^2`` and ``|x| - 1 / (2 s^2)`` elsewhere; s is ``scalar``, or 1.

    Notes
    -----
    With t = min(|x|, 1 / s^2), both are ``|x| - t + s^2 t^2 / 2``.
    """
    node.expect_inputs(1)
    node.attrs.ignore("is_int")  # how the number was written; the input holds real numbers in any case
    sigma = node.attrs.real("scalar", 1.0)
    square = sigma * sigma
    if not 1e-30 < square < 1e30:
        raise node.attrs.unsupported("scalar", sigma, "a number whose square is between 1e-30 and 1e30")
    data, add = node.tensor(), _steps(node)
    magnitude = add("Abs", data, step="magnitude")
    near = add("Min", magnitude, node.number("border", 1 / square), step="near")
    far = add("Sub", magnitude, near, step="far")
    scaled = add("Mul", near, node.number("half_square", square / 2), step="scaled")
    return add("Add", add("Mul", scaled, near, step="curve"), far)
