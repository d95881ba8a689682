"""Reshape, reshape_like, expand_dims, squeeze, transpose, SwapAxis: the same elements in another shape or order."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from export.ops.registry import translates

if TYPE_CHECKING:
    from export.graph.graph import Shape, Tensor
    from export.graph.node import Node

BATCHES = (1009, 2003)  # two batch sizes that do not occur as sizes of layers
COPY, INFER, COPY_REST, MERGE, SPLIT = 0, -1, -2, -3, -4


@translates("Reshape")
def reshape(node: Node) -> Tensor:
    """Resolve MXNet's special sizes, as ONNX has only two of them."""
    node.expect_inputs(1)
    node.attrs.choice("target_shape", ("()", "[]", "(0,)"), "()")  # deprecated, as is keep_highest
    node.attrs.choice("keep_highest", ("False", "0"), "False")
    spec = node.attrs.integers("shape", minimum=SPLIT)
    backwards = node.attrs.boolean("reverse", default=False)
    data = node.tensor()
    resolved = [_resolve(node, (n, *data.row), spec, backwards=backwards) for n in BATCHES]
    row = resolved[0][1:]
    if row != resolved[1][1:] or tuple(shape[0] for shape in resolved) != BATCHES:
        raise node.attrs.unsupported("shape", spec, "one that keeps axis 0, the batch")
    return _reshaped(node, row)


def _reshaped(node: Node, row: Shape) -> Tensor:
    data = node.tensor()
    return data if row == data.row else node.emit("Reshape", (data, node.integers("shape", 0, *row)), row)


def _resolve(node: Node, source: Shape, spec: Shape, *, backwards: bool) -> Shape:
    """Return the shape that MXNet computes from ``source`` (``matrix_op-inl.h``: InferReshapeShape)."""
    sizes, codes = list(source), list(spec)
    if backwards:
        sizes, codes = sizes[::-1], codes[::-1]
    made: list[int] = []
    at = 0  # index of the next axis of the source
    while codes:
        code = codes.pop(0)
        if code == SPLIT:
            if backwards or len(codes) < 2 or at >= len(sizes):
                raise node.malformed(f"shape {spec} of {source}: -4 splits one axis into the two sizes after it")
            made += _split(node, sizes[at], codes.pop(0), codes.pop(0))
            at += 1
        elif code == COPY_REST:
            made += sizes[at:]
            at = len(sizes)
        else:
            takes = {MERGE: 2}.get(code, 1)
            if code in (COPY, MERGE) and at + takes > len(sizes):
                raise node.malformed(f"shape {spec} of {source}: no axis is left for {code}")
            made.append(math.prod(sizes[at : at + takes]) if code in (COPY, MERGE) else code)
            at += takes
    made = made[::-1] if backwards else made
    return _inferred(node, math.prod(source), tuple(made))


def _split(node: Node, size: int, first: int, second: int) -> list[int]:
    if first == INFER and second > 0:
        first = size // second
    if second == INFER and first > 0:
        second = size // first
    if first * second != size or first < 1:
        raise node.malformed(f"-4 cannot split {size} into {first} and {second}")
    return [first, second]


def _inferred(node: Node, count: int, made: Shape) -> Shape:
    known = math.prod(size for size in made if size != INFER)
    if made.count(INFER) > 1 or known < 1 or count % known or (INFER not in made and known != count):
        raise node.malformed(f"{count} elements cannot take the shape {made}")
    return tuple(count // known if size == INFER else size for size in made)


@translates("reshape_like")
def reshape_like(node: Node) -> Tensor:
    """Replace axes ``lhs_begin`` to ``lhs_end`` by the other input's axes ``rhs_begin`` to ``rhs_end``."""
    node.expect_inputs(2)
    shapes = [(BATCHES[0], *node.tensor(index).row) for index in (0, 1)]
    parts = []
    for side, shape in zip(("lhs", "rhs"), shapes, strict=True):
        begin = node.attrs.optional_integer(f"{side}_begin", minimum=-8) or 0
        end = node.attrs.optional_integer(f"{side}_end", minimum=-8)
        parts.append(slice(*slice(begin, end).indices(len(shape))))
    target = (*shapes[0][: parts[0].start], *shapes[1][parts[1]], *shapes[0][parts[0].stop :])
    if math.prod(target) != math.prod(shapes[0]) or target[0] != BATCHES[0]:
        raise node.malformed(f"its inputs {shapes[0][1:]} and {shapes[1][1:]} do not fit, or would mix images")
    return _reshaped(node, target[1:])


@translates("expand_dims")
def expand_dims(node: Node) -> Tensor:
    """Insert an axis of length 1 before ``axis``; negative values count from after the last axis."""
    node.expect_inputs(1)
    row = node.tensor().row
    value = node.attrs.integer("axis", minimum=-8)
    axis = value + len(row) + 2 if value < 0 else value
    if not 1 <= axis <= len(row) + 1:
        raise node.attrs.unsupported("axis", value, f"1 to {len(row) + 1}; axis 0 is the batch")
    return _reshaped(node, (*row[: axis - 1], 1, *row[axis - 1 :]))


@translates("squeeze")
def squeeze(node: Node) -> Tensor:
    """Remove axes of length 1: those of ``axis``, or all but the batch axis if there is no ``axis``.

    Without ``axis``, MXNet would also remove the batch axis of a single image; the model keeps it.
    """
    node.expect_inputs(1)
    row = node.tensor().row
    named = node.attrs.optional_integers("axis", minimum=-8)
    if named is None:
        return _reshaped(node, tuple(size for size in row if size != 1))
    axes = {axis + len(row) + 1 if axis < 0 else axis for axis in named if axis is not None}
    if None in named or not all(1 <= axis <= len(row) and row[axis - 1] == 1 for axis in axes):
        raise node.attrs.unsupported("axis", named, f"axes of length 1 of {row}, counted from 1; axis 0 is the batch")
    return _reshaped(node, tuple(size for axis, size in enumerate(row, start=1) if axis not in axes))


@translates("SwapAxis")
def swap_axis(node: Node) -> Tensor:
    """Swap the axes ``dim1`` and ``dim2``, neither of which may be the batch axis."""
    node.expect_inputs(1)
    first, second = node.axis("dim1", 0), node.axis("dim2", 0)
    order = list(range(len(node.tensor().row) + 1))
    order[first], order[second] = second, first
    return _transposed(node, order)


@translates("transpose")
def transpose(node: Node) -> Tensor:
    """Reorder the axes as ``axes`` says; the batch axis must stay first."""
    node.expect_inputs(1)
    count = len(node.tensor().row) + 1
    order = list(node.attrs.integers("axes", count, tuple(range(count))[::-1]))
    if sorted(order) != list(range(count)) or order[0] != 0:
        raise node.attrs.unsupported("axes", tuple(order), f"0 and then 1 to {count - 1}; axis 0 is the batch")
    return _transposed(node, order)


def _transposed(node: Node, order: list[int]) -> Tensor:
    data = node.tensor()
    if order == sorted(order):
        return data
    return node.emit("Transpose", (data,), tuple(data.row[axis - 1] for axis in order[1:]), {"perm": order})
