"""batch_dot, _linalg_gemm2, dot: matrix products."""

from __future__ import annotations

from typing import TYPE_CHECKING

from export.errors import UnsupportedOpError
from export.graph.shape import Batch, product
from export.ops.registry import translates
from export.ops.reshape import onnx_shape

if TYPE_CHECKING:
    from export.graph.graph import Tensor
    from export.graph.node import Node
    from export.graph.shape import BatchShape, Size


@translates("batch_dot")
def batch_dot(node: Node) -> Tensor:
    """Multiply (N, ..., M, K) by (N, ..., K, P). ``transpose_a`` and ``transpose_b`` swap the last two axes first."""
    node.expect_inputs(2)
    node.attrs.choice("forward_stype", ("default",), "default")
    return _matrix_products(node, least_axes=3)


@translates("_linalg_gemm2")
def gemm2(node: Node) -> Tensor:
    """Multiply as batch_dot does, and then by ``alpha``. Matrices are in the last two axes."""
    node.expect_inputs(2)
    alpha, axis = node.attrs.real("alpha", 1.0), node.attrs.integer("axis", -2, minimum=-8)
    if axis not in (-2, len(node.shape()) - 2):
        raise node.attrs.unsupported("axis", axis, "-2")
    if alpha == 1:
        return _matrix_products(node, least_axes=2)
    products = _matrix_products(node, least_axes=2, step="product")
    return node.emit_like(products, "Mul", (products, node.number("alpha", alpha)))


def _matrix_products(node: Node, least_axes: int, step: str = "") -> Tensor:
    left, right = node.tensor(0), node.tensor(1)
    node.require_one_type(left, right)
    if len(left.shape) < least_axes or left.shape[:-2] != right.shape[:-2]:
        raise node.malformed(f"its inputs {left.shape} and {right.shape} are not matrices for each image")
    if node.attrs.boolean("transpose_a", default=False):
        left = _transposed(node, left, "left")
    if node.attrs.boolean("transpose_b", default=False):
        right = _transposed(node, right, "right")
    if left.shape[-1] != right.shape[-2]:
        raise node.malformed(f"its inputs {left.shape} and {right.shape} cannot be multiplied")
    _require_number(node, left.shape[-1])
    product((left.shape[-2], right.shape[-1]))
    return node.emit_shaped("MatMul", (left, right), (*left.shape[:-1], right.shape[-1]), step=step)


@translates("dot")
def dot(node: Node) -> Tensor:
    """Multiply over the last axis of the first input and the first axis of the second.

    ``transpose_a`` and ``transpose_b`` take the first and the last axis instead (``dot-inl.h``: DotShape).
    """
    node.expect_inputs(2)
    node.attrs.choice("forward_stype", ("default",), "default")
    left, right = node.tensor(0), node.tensor(1)
    node.require_one_type(left, right)
    first = node.attrs.boolean("transpose_a", default=False) and len(left.shape) > 1
    last = node.attrs.boolean("transpose_b", default=False) and len(right.shape) > 1
    length, rows = (left.shape[0], left.shape[1:]) if first else (left.shape[-1], left.shape[:-1])
    others, columns = (right.shape[-1], right.shape[:-1]) if last else (right.shape[0], right.shape[1:])
    if length != others:
        raise node.malformed(f"its inputs {left.shape} and {right.shape} cannot be multiplied")
    _require_number(node, length)
    product((*rows, *columns))
    left = _as_matrix(node, left, (length, *rows) if first else (*rows, length), front=first, step="left")
    right = _as_matrix(node, right, (*columns, length) if last else (length, *columns), front=not last, step="right")
    if first:
        left = _transposed(node, left, "left_transposed")
    if last:
        right = _transposed(node, right, "right_transposed")
    matrix = (left.shape[0], right.shape[1])
    shape = (*rows, *columns) or (1,)
    if matrix == shape:
        return node.emit_shaped("MatMul", (left, right), shape)
    products = node.emit_shaped("MatMul", (left, right), matrix, step="product")
    return node.emit_shaped("Reshape", (products, onnx_shape(node, matrix, shape)), shape)


def _as_matrix(node: Node, data: Tensor, shape: BatchShape, *, front: bool, step: str) -> Tensor:
    """Join all axes but the first, if ``front``, or the last."""
    matrix = (shape[0], product(shape[1:])) if front else (product(shape[:-1]), shape[-1])
    if matrix == data.shape:
        return data
    return node.emit_shaped("Reshape", (data, onnx_shape(node, data.shape, matrix)), matrix, step=step)


def _require_number(node: Node, size: Size) -> None:
    if isinstance(size, Batch):
        raise UnsupportedOpError(f"{node.op} {node.name!r}: it would add up all images of the batch.")


def _transposed(node: Node, matrix: Tensor, step: str) -> Tensor:
    axes = len(matrix.shape)
    shape = (*matrix.shape[:-2], matrix.shape[-1], matrix.shape[-2])
    return node.emit_shaped("Transpose", (matrix,), shape, {"perm": (*range(axes - 2), axes - 1, axes - 2)}, step=step)
