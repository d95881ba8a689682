"""Reshape, reshape_like, expand_dims, squeeze, transpose, SwapAxis: the same elements in another shape or order."""

from __future__ import annotations

from typing import TYPE_CHECKING

from export.graph.shape import Batch, BatchShape, N, Size, product, quotient
from export.ops.registry import translates

if TYPE_CHECKING:
    from collections.abc import Sequence

    from export.graph.graph import Constant, Tensor
    from export.graph.node import Node

COPY, INFER, COPY_REST, MERGE, SPLIT = 0, -1, -2, -3, -4


@translates("Reshape")
def reshape(node: Node) -> Tensor:
    """Resolve MXNet's special sizes, as ONNX has only two of them."""
    node.expect_inputs(1)
    node.attrs.choice("target_shape", ("()", "[]", "(0,)"), "()")  # deprecated, as is keep_highest
    node.attrs.choice("keep_highest", ("False", "0"), "False")
    spec = node.attrs.integers("shape", minimum=SPLIT)
    backwards = node.attrs.boolean("reverse", default=False)
    return reshaped(node, _resolve(node, node.shape(), spec, backwards=backwards))


def reshaped(node: Node, shape: BatchShape, step: str = "", data: Tensor | None = None) -> Tensor:
    """Give input 0, or another tensor, a new shape with as many elements."""
    data = data or node.tensor()
    if shape == data.shape:
        return data
    return node.emit_shaped("Reshape", (data, _onnx_shape(node, data.shape, shape)), shape, step=step)


def _onnx_shape(node: Node, old: BatchShape, new: BatchShape) -> Constant:
    """Return the shape for ONNX's Reshape: 0 copies a size, -1 is the one that grows with the batch."""
    sizes = [0 if old[axis : axis + 1] == (size,) else size for axis, size in enumerate(new)]
    return node.integers("shape", *(-1 if isinstance(size, Batch) else size for size in sizes))


def _resolve(node: Node, source: BatchShape, spec: tuple[int, ...], *, backwards: bool) -> BatchShape:
    """Return the shape that MXNet computes from ``source`` (``matrix_op-inl.h``: InferReshapeShape)."""
    sizes, codes = list(source), list(spec)
    if backwards:
        sizes, codes = sizes[::-1], codes[::-1]
    made: list[Size] = []
    at = 0  # index of the next axis of the source
    while codes:
        code = codes.pop(0)
        if code == SPLIT:
            if backwards or len(codes) < 2 or at >= len(sizes):
                raise node.malformed(f"shape {spec} of {source}: -4 splits one axis into the two sizes after it")
            made += split_axis(node, sizes[at], codes.pop(0), codes.pop(0))
            at += 1
        elif code == COPY_REST:
            made += sizes[at:]
            at = len(sizes)
        else:
            takes = {MERGE: 2}.get(code, 1)
            if code in (COPY, MERGE) and at + takes > len(sizes):
                raise node.malformed(f"shape {spec} of {source}: no axis is left for {code}")
            made.append(product(sizes[at : at + takes]) if code in (COPY, MERGE) else code)
            at += takes
    return inferred_shape(node, source, tuple(made[::-1] if backwards else made))


def split_axis(node: Node, size: Size, first: int, second: int) -> tuple[Size, Size]:
    """Return the two sizes into which an axis is split. One may be -1."""
    sizes: list[Size | None] = [first, second]
    if first == INFER and second > 0:
        sizes[0] = quotient(size, second)
    if second == INFER and first > 0:
        sizes[1] = quotient(size, first)
    left, right = sizes
    if left is None or right is None or product((left, right)) != size or left == INFER:
        raise node.malformed(f"an axis of {size} cannot be split into {first} and {second}")
    return left, right


def inferred_shape(node: Node, source: BatchShape, made: BatchShape) -> BatchShape:
    """Replace the one -1 of a shape by the size that makes it hold as many elements as ``source``."""
    count, known = product(source), product(size for size in made if size != INFER)
    rest = quotient(count, known)
    if rest is None or made.count(INFER) > 1 or (INFER not in made and rest != 1):
        raise node.malformed(f"its input {source} cannot be reshaped to {made}")
    return tuple(rest if size == INFER else size for size in made)


@translates("reshape_like")
def reshape_like(node: Node) -> Tensor:
    """Replace axes ``lhs_begin`` to ``lhs_end`` by the other input's axes ``rhs_begin`` to ``rhs_end``."""
    node.expect_inputs(2)
    shapes = [node.shape(index) for index in (0, 1)]
    parts = []
    for side, shape in zip(("lhs", "rhs"), shapes, strict=True):
        begin = node.attrs.optional_integer(f"{side}_begin", minimum=-8) or 0
        end = node.attrs.optional_integer(f"{side}_end", minimum=-8)
        parts.append(slice(*slice(begin, end).indices(len(shape))))
    target = (*shapes[0][: parts[0].start], *shapes[1][parts[1]], *shapes[0][parts[0].stop :])
    if target.count(N) > 1 or product(target) != product(shapes[0]):
        raise node.malformed(f"its input {shapes[0]} cannot be reshaped like {shapes[1]}")
    return reshaped(node, target)


@translates("expand_dims")
def expand_dims(node: Node) -> Tensor:
    """Insert an axis of length 1 before ``axis``. Negative values count from after the last axis."""
    node.expect_inputs(1)
    shape = node.shape()
    value = node.attrs.integer("axis", minimum=-8)
    axis = value + len(shape) + 1 if value < 0 else value
    if not 0 <= axis <= len(shape):
        raise node.attrs.unsupported("axis", value, f"0 to {len(shape)}")
    return reshaped(node, (*shape[:axis], 1, *shape[axis:]))


@translates("squeeze")
def squeeze(node: Node) -> Tensor:
    """Remove axes of length 1: those of ``axis``, or all but the batch axis if there is no ``axis``.

    Without ``axis``, MXNet would also remove the batch axis of a single image. The model keeps it.
    """
    node.expect_inputs(1)
    shape = node.shape()
    ones = [axis for axis, size in enumerate(shape) if size == 1]
    named = node.attrs.optional_integers("axis", minimum=-8)
    axes = (
        set(ones) if named is None else {axis + len(shape) if axis < 0 else axis for axis in named if axis is not None}
    )
    if not axes <= set(ones) or None in (named or ()):
        raise node.attrs.unsupported("axis", named, f"axes of length 1 of {shape}")
    return reshaped(node, tuple(size for axis, size in enumerate(shape) if axis not in axes))


@translates("SwapAxis")
def swap_axis(node: Node) -> Tensor:
    """Swap the axes ``dim1`` and ``dim2``."""
    node.expect_inputs(1)
    order = list(range(len(node.shape())))
    dims = [node.attrs.integer(name, 0, minimum=-8) for name in ("dim1", "dim2")]
    first, second = (dim + len(order) if dim < 0 else dim for dim in dims)
    if not {first, second} <= set(order):
        raise node.malformed(f"dim1 and dim2 are {dims}; its input has {len(order)} axes")
    order[first], order[second] = second, first
    return transposed(node, order)


@translates("transpose")
def transpose(node: Node) -> Tensor:
    """Reorder the axes as ``axes`` says. The default is the reverse order."""
    node.expect_inputs(1)
    count = len(node.shape())
    named = node.attrs.integers("axes", default=tuple(range(count))[::-1], minimum=-8)
    order = [axis + count if axis < 0 else axis for axis in named]
    if sorted(order) != list(range(count)):
        raise node.malformed(f"axes {named} are not a permutation of its {count} axes")
    return transposed(node, order)


def transposed(node: Node, order: Sequence[int], step: str = "", data: Tensor | None = None) -> Tensor:
    """Reorder the axes of input 0, or of another tensor."""
    data, order = data or node.tensor(), list(order)
    if order == sorted(order):
        return data
    shape = tuple(data.shape[axis] for axis in order)
    return node.emit_shaped("Transpose", (data,), shape, {"perm": order}, step=step)
