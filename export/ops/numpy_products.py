"""NumPy's matmul, dot, tensordot and einsum."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from export.errors import UnsupportedOpError
from export.graph.shape import Batch, broadcast_shape, product
from export.ops.registry import translates
from export.ops.reshape import onnx_shape

if TYPE_CHECKING:
    from export.graph.graph import Tensor
    from export.graph.node import Node
    from export.graph.shape import BatchShape, Size

SUBSCRIPTS = re.compile(r"[A-Za-z]+(,[A-Za-z]+)*(->[A-Za-z]*)?")
MAX_SUBSCRIPTS = 200


@translates("_npi_matmul")
def matmul(node: Node) -> Tensor:
    """Multiply matrices in the last two axes; the axes before them are broadcast. A vector is a row or a column."""
    node.expect_inputs(2)
    left, right = node.tensor(0), node.tensor(1)
    node.require_one_type(left, right)
    return _multiplied(node, left, right)


@translates("_np_dot")
def dot(node: Node) -> Tensor:
    """Sum over the last axis of the first input and the last axis but one of the second."""
    node.expect_inputs(2)
    left, right = node.tensor(0), node.tensor(1)
    node.require_one_type(left, right)
    if len(right.shape) <= 2:
        return _multiplied(node, left, right)
    return _contracted(node, (left, right), ((len(left.shape) - 1,), (len(right.shape) - 2,)))


@translates("_npi_tensordot")
def tensordot(node: Node) -> Tensor:
    """Sum over the axes ``a_axes_summed`` and ``b_axes_summed``."""
    node.expect_inputs(2)
    tensors = node.tensor(0), node.tensor(1)
    node.require_one_type(*tensors)
    first, second = (
        tuple(axis + len(tensor.shape) if axis < 0 else axis for axis in node.attrs.integers(name, minimum=-8))
        for tensor, name in zip(tensors, ("a_axes_summed", "b_axes_summed"), strict=True)
    )
    return _contracted(node, tensors, (first, second))


@translates("_npi_tensordot_int_axes")
def tensordot_of_last(node: Node) -> Tensor:
    """Sum over the last ``axes`` axes of the first input and the first ``axes`` of the second."""
    node.expect_inputs(2)
    left, right = node.tensor(0), node.tensor(1)
    node.require_one_type(left, right)
    count = node.attrs.integer("axes")
    first = len(left.shape)
    if not 1 <= count <= min(first, len(right.shape)):
        raise node.attrs.unsupported("axes", count, f"1 to {min(first, len(right.shape))}")
    return _contracted(node, (left, right), (tuple(range(first - count, first)), tuple(range(count))))


@translates("_npi_einsum")
def einsum(node: Node) -> Tensor:
    """Compute ``subscripts``, Einstein's sum; ellipses are refused."""
    node.attrs.ignore("optimize")  # the order of the products
    count = node.attrs.integer("num_args", minimum=1)
    node.expect_inputs(count)
    tensors = tuple(node.tensor(index) for index in range(count))
    node.require_one_type(*tensors)
    text = node.attrs.text("subscripts").replace(" ", "")
    if len(text) > MAX_SUBSCRIPTS or not SUBSCRIPTS.fullmatch(text):
        raise node.attrs.unsupported("subscripts", text, "letters, as in 'bij,bjk->bik'")
    terms, arrow, result = text.partition("->")
    if not arrow:
        result = "".join(sorted(letter for letter in set(terms) - {","} if terms.count(letter) == 1))
    sizes = _letter_sizes(node, terms.split(","), tensors)
    if len(set(result)) < len(result) or not set(result) <= set(sizes):
        raise node.malformed(f"subscripts {text} name an output axis twice, or one that no input has")
    for letter in set(sizes) - set(result):
        if isinstance(sizes[letter], Batch):
            raise _mixes(node)
    shape = tuple(sizes[letter] for letter in result)
    product(shape)
    return node.emit_shaped("Einsum", tensors, shape, {"equation": f"{terms}->{result}"})


def _letter_sizes(node: Node, terms: list[str], tensors: tuple[Tensor, ...]) -> dict[str, Size]:
    sizes: dict[str, Size] = {}
    if [len(term) for term in terms] != [len(tensor.shape) for tensor in tensors]:
        shapes = ", ".join(str(tensor.shape) for tensor in tensors)
        raise node.malformed(f"subscripts {','.join(terms)} do not fit its inputs {shapes:.200}")
    for term, tensor in zip(terms, tensors, strict=True):
        if len(set(term)) < len(term):
            raise node.attrs.unsupported("subscripts", term, "different letters for the axes of an input")
        for letter, size in zip(term, tensor.shape, strict=True):
            if sizes.setdefault(letter, size) != size:
                raise node.malformed(f"axis {letter} has the sizes {sizes[letter]} and {size}")
    return sizes


def _multiplied(node: Node, left: Tensor, right: Tensor) -> Tensor:
    """Append ONNX's MatMul, which is NumPy's."""
    (*stack, rows, inner), (*other_stack, other_inner, columns) = _as_matrices(left.shape, right.shape)
    shape = broadcast_shape(tuple(stack), tuple(other_stack))
    if shape is None or inner != other_inner or not left.shape or not right.shape:
        raise node.malformed(f"its inputs {left.shape} and {right.shape} cannot be multiplied")
    if isinstance(inner, Batch):
        raise _mixes(node)
    kept = (*([rows] if len(left.shape) > 1 else []), *([columns] if len(right.shape) > 1 else []))
    product((*shape, *kept))
    return node.emit_shaped("MatMul", (left, right), (*shape, *kept))


def _as_matrices(left: BatchShape, right: BatchShape) -> tuple[BatchShape, BatchShape]:
    return (*(1,) * (2 - len(left)), *left), (*right, *(1,) * (2 - len(right)))


def _contracted(node: Node, tensors: tuple[Tensor, Tensor], summed: tuple[tuple[int, ...], tuple[int, ...]]) -> Tensor:
    """Sum over pairs of axes: reorder, flatten to matrices, multiply, and give the product its shape."""
    left, right = (tensor.shape for tensor in tensors)
    pairs = [
        (left[axis], right[other]) if axis in range(len(left)) and other in range(len(right)) else (0, 1)
        for axis, other in zip(*summed, strict=False)
    ]
    distinct = all(len(set(axes)) == len(axes) for axes in summed)
    if len(summed[0]) != len(summed[1]) or not distinct or any(size != other for size, other in pairs):
        raise node.malformed(f"its inputs {left} and {right} cannot be summed over axes {summed[0]} and {summed[1]}")
    if any(isinstance(size, Batch) for size, _ in pairs):
        raise _mixes(node)
    kept = [
        [axis for axis in range(len(tensor.shape)) if axis not in axes]
        for tensor, axes in zip(tensors, summed, strict=True)
    ]
    rows, columns = (tuple(tensor.shape[axis] for axis in axes) for tensor, axes in zip(tensors, kept, strict=True))
    inner = product(size for size, _ in pairs)
    shape = (*rows, *columns)
    product(shape)
    first = _matrix(node, tensors[0], [*kept[0], *summed[0]], (product(rows), inner), "left")
    second = _matrix(node, tensors[1], [*summed[1], *kept[1]], (inner, product(columns)), "right")
    matrix = (product(rows), product(columns))
    if shape == matrix:
        return node.emit_shaped("MatMul", (first, second), matrix)
    made = node.emit_shaped("MatMul", (first, second), matrix, step="matrix")
    return node.emit_shaped("Reshape", (made, onnx_shape(node, matrix, shape)), shape)


def _matrix(node: Node, tensor: Tensor, order: list[int], shape: BatchShape, step: str) -> Tensor:
    if order != sorted(order):
        ordered = tuple(tensor.shape[axis] for axis in order)
        tensor = node.emit_shaped("Transpose", (tensor,), ordered, {"perm": order}, step=f"{step}_ordered")
    if tensor.shape == shape:
        return tensor
    return node.emit_shaped("Reshape", (tensor, onnx_shape(node, tensor.shape, shape)), shape, step=step)


def _mixes(node: Node) -> UnsupportedOpError:
    return UnsupportedOpError(f"{node.op} {node.name!r}: it sums over the batch; images may not be mixed.")
