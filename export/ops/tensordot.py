"""dot and tensordot: products that sum over chosen axes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from export.graph.shape import product
from export.ops.matmul import refuse_batch
from export.ops.registry import translates
from export.ops.reshape import reshaped, transposed

if TYPE_CHECKING:
    from export.graph.graph import Tensor
    from export.graph.node import Node
    from export.graph.shape import BatchShape

Axes = tuple[int, ...]


@translates("dot")
def dot(node: Node) -> Tensor:
    """Sum over the last axis of the first input and the first axis of the second.

    ``transpose_a`` and ``transpose_b`` take the first and the last axis instead (``dot-inl.h``: DotShape).
    """
    left, right = _pair(node)
    node.attrs.choice("forward_stype", ("default",), "default")
    first, last = (node.attrs.boolean(f"transpose_{name}", default=False) for name in "ab")
    axes = 0 if first else len(left.shape) - 1, len(right.shape) - 1 if last else 0
    return _contracted(node, (left, right), ((axes[0],), (axes[1],)))


@translates("_np_dot")
def numpy_dot(node: Node) -> Tensor:
    """Sum over the last axis of the first input and the last axis but one of the second, or its only axis."""
    left, right = _pair(node)
    return _contracted(node, (left, right), ((len(left.shape) - 1,), (max(len(right.shape) - 2, 0),)))


@translates("_npi_tensordot")
def tensordot(node: Node) -> Tensor:
    """Sum over the axes ``a_axes_summed`` and ``b_axes_summed``."""
    tensors = _pair(node)
    first, second = (
        tuple(axis + len(tensor.shape) if axis < 0 else axis for axis in node.attrs.integers(name, minimum=-8))
        for tensor, name in zip(tensors, ("a_axes_summed", "b_axes_summed"), strict=True)
    )
    return _contracted(node, tensors, (first, second))


@translates("_npi_tensordot_int_axes")
def tensordot_of_last(node: Node) -> Tensor:
    """Sum over the last ``axes`` axes of the first input and the first ``axes`` of the second."""
    left, right = _pair(node)
    count = node.attrs.integer("axes")
    first = len(left.shape)
    if not 1 <= count <= min(first, len(right.shape)):
        raise node.attrs.unsupported("axes", count, f"1 to {min(first, len(right.shape))}")
    return _contracted(node, (left, right), (tuple(range(first - count, first)), tuple(range(count))))


def _pair(node: Node) -> tuple[Tensor, Tensor]:
    node.expect_inputs(2)
    left, right = node.tensor(0), node.tensor(1)
    node.require_one_type(left, right)
    return left, right


def _contracted(node: Node, tensors: tuple[Tensor, Tensor], summed: tuple[Axes, Axes]) -> Tensor:
    """Sum over pairs of axes: reorder, flatten to matrices, multiply, and give the product its shape."""
    left, right = (tensor.shape for tensor in tensors)
    pairs = [
        (left[axis], right[other]) if axis in range(len(left)) and other in range(len(right)) else (0, 1)
        for axis, other in zip(*summed, strict=False)
    ]
    distinct = all(len(set(axes)) == len(axes) for axes in summed)
    if len(summed[0]) != len(summed[1]) or not distinct or any(size != other for size, other in pairs):
        raise node.malformed(f"its inputs {left} and {right} cannot be summed over axes {summed[0]} and {summed[1]}")
    for size, _ in pairs:
        refuse_batch(node, size)
    kept = [
        [axis for axis in range(len(tensor.shape)) if axis not in axes]
        for tensor, axes in zip(tensors, summed, strict=True)
    ]
    rows, columns = (tuple(tensor.shape[axis] for axis in axes) for tensor, axes in zip(tensors, kept, strict=True))
    inner = product(size for size, _ in pairs)
    shape = (*rows, *columns) or ((1,) if node.op == "dot" else ())  # older operators have no tensors with 0 axes
    product(shape)
    first = _matrix(node, tensors[0], [*kept[0], *summed[0]], (product(rows), inner), "left")
    second = _matrix(node, tensors[1], [*summed[1], *kept[1]], (inner, product(columns)), "right")
    matrix = (product(rows), product(columns))
    made = node.emit_shaped("MatMul", (first, second), matrix, step="" if shape == matrix else "matrix")
    return reshaped(node, shape, data=made)


def _matrix(node: Node, tensor: Tensor, order: list[int], shape: BatchShape, step: str) -> Tensor:
    return reshaped(node, shape, step, transposed(node, order, f"{step}_ordered", tensor))
