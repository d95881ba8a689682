"""Comparisons, logical operators, where. True is 1 and false is 0, in the inputs' type."""

from __future__ import annotations

from typing import TYPE_CHECKING

from export.graph.graph import BOOL, ONNX_TYPES
from export.ops.elementwise import common_shape, two_alike
from export.ops.registry import translates
from export.ops.reshape import reshaped
from export.ops.scalar import tensor_and_number

if TYPE_CHECKING:
    from export.graph.graph import Operand, Tensor
    from export.graph.node import Node
    from export.graph.shape import BatchShape

# What MXNet calls a relation -> ONNX's operator
COMPARISONS = {
    **{"equal": "Equal", "greater": "Greater", "greater_equal": "GreaterOrEqual"},
    **{"lesser": "Less", "lesser_equal": "LessOrEqual"},
    "not_equal": "",  # ONNX has no operator for it
}
LOGICAL = {"logical_and": "And", "logical_or": "Or", "logical_xor": "Xor"}  # on booleans
RELATIONS = COMPARISONS | LOGICAL


@translates(*(f"_{name}" for name in RELATIONS))
def compare(node: Node) -> Tensor:
    """Compare two tensors of the same shape."""
    left, right = two_alike(node)
    return _related(node, node.op.removeprefix("_"), (left, right), left.shape)


@translates(*(f"broadcast_{name}" for name in RELATIONS))
def broadcast_compare(node: Node) -> Tensor:
    """Compare two operands, repeating axes of length 1."""
    shape = common_shape(node)
    return _related(node, node.op.removeprefix("broadcast_"), (node.tensor(0), node.tensor(1)), shape)


@translates(*(f"_{name}_scalar" for name in RELATIONS))
def compare_with_number(node: Node) -> Tensor:
    """Compare a tensor with a number, by default 1."""
    data, number = tensor_and_number(node)
    pair = data, node.graph.as_tensor(number)
    return _related(node, node.op.removeprefix("_").removesuffix("_scalar"), pair, data.shape)


@translates("logical_not")
def logical_not(node: Node) -> Tensor:
    """Compute 1 where the input is 0, else 0."""
    node.expect_inputs(1)
    data = node.tensor()
    zero = node.graph.as_tensor(node.number("zero", 0))
    return _related(node, "equal", (data, zero), data.shape)


@translates("where")
def where(node: Node) -> Tensor:
    """Take elements of the second input where the first is not 0, and of the third elsewhere.

    A condition of one axis chooses whole rows (``control_flow_op.h``).
    """
    node.expect_inputs(3)
    condition, chosen, other = (node.tensor(index) for index in range(3))
    node.require_one_type(chosen, other)
    rows = condition.shape != chosen.shape
    if chosen.shape != other.shape or (rows and condition.shape != chosen.shape[:1]):
        raise node.malformed(f"its inputs are {condition.shape}, {chosen.shape} and {other.shape}; expected one shape")
    if rows:
        condition = reshaped(node, (*condition.shape, *(1,) * (len(chosen.shape) - 1)), step="rows")
    truth = as_bool(node, condition, "condition")
    return node.emit_like(chosen, "Where", (truth, chosen, other), dtype=chosen.dtype)


def as_bool(node: Node, data: Tensor, step: str) -> Tensor:
    """Cast to booleans: true where the input is not 0."""
    return node.emit_like(data, "Cast", (data,), {"to": ONNX_TYPES[BOOL]}, step=step, dtype=BOOL)


def _related(node: Node, relation: str, pair: tuple[Tensor, Tensor], shape: BatchShape) -> Tensor:
    dtype = pair[0].dtype
    operands: tuple[Operand, ...] = pair
    if relation in LOGICAL:
        operands = tuple(as_bool(node, data, f"bool{index}") for index, data in enumerate(pair))
    op = RELATIONS[relation] or "Equal"
    truth = node.emit_shaped(op, operands, shape, step="truth", dtype=BOOL)
    if not RELATIONS[relation]:
        truth = node.emit_shaped("Not", (truth,), shape, step="opposite")
    return node.emit_shaped("Cast", (truth,), shape, {"to": ONNX_TYPES[dtype]}, dtype=dtype)
