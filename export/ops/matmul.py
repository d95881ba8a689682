"""batch_dot, _linalg_gemm2, _npi_matmul: products of matrices in the last two axes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from export.errors import UnsupportedOpError
from export.graph.shape import Batch, broadcast_shape, product
from export.ops.registry import translates
from export.ops.reshape import transposed

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
    node.real_tensor()
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
        left = _swapped(node, left, "left")
    if node.attrs.boolean("transpose_b", default=False):
        right = _swapped(node, right, "right")
    if left.shape[-1] != right.shape[-2]:
        raise node.malformed(f"its inputs {left.shape} and {right.shape} cannot be multiplied")
    refuse_batch(node, left.shape[-1])
    product((left.shape[-2], right.shape[-1]))
    return node.emit_shaped("MatMul", (left, right), (*left.shape[:-1], right.shape[-1]), step=step)


@translates("_npi_matmul")
def matmul(node: Node) -> Tensor:
    """Multiply matrices in the last two axes. The axes before them are broadcast. A vector is a row or a column."""
    node.expect_inputs(2)
    left, right = node.tensor(0), node.tensor(1)
    node.require_one_type(left, right)
    (*stack, rows, inner), (*other_stack, other_inner, columns) = _as_matrices(left.shape, right.shape)
    shape = broadcast_shape(tuple(stack), tuple(other_stack))
    if shape is None or inner != other_inner or not left.shape or not right.shape:
        raise node.malformed(f"its inputs {left.shape} and {right.shape} cannot be multiplied")
    refuse_batch(node, inner)
    kept = (*([rows] if len(left.shape) > 1 else []), *([columns] if len(right.shape) > 1 else []))
    product((*shape, *kept))
    return node.emit_shaped("MatMul", (left, right), (*shape, *kept))


def _as_matrices(left: BatchShape, right: BatchShape) -> tuple[BatchShape, BatchShape]:
    return (*(1,) * (2 - len(left)), *left), (*right, *(1,) * (2 - len(right)))


def refuse_batch(node: Node, size: Size) -> None:
    """Refuse to sum over an axis that grows with the batch."""
    if isinstance(size, Batch):
        raise UnsupportedOpError(f"{node.op} {node.name!r}: it sums over the batch, which would mix images.")


def _swapped(node: Node, matrix: Tensor, step: str) -> Tensor:
    axes = len(matrix.shape)
    return transposed(node, (*range(axes - 2), axes - 1, axes - 2), step, matrix)
