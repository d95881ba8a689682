"""tile, repeat: the same elements several times."""

from __future__ import annotations

from typing import TYPE_CHECKING

from export.graph.shape import product
from export.ops.registry import translates
from export.ops.reshape import reshaped

if TYPE_CHECKING:
    from export.graph.graph import Tensor
    from export.graph.node import Node


@translates("tile")
def tile(node: Node) -> Tensor:
    """Repeat the whole tensor ``reps`` times along each axis. Missing axes and missing numbers in front are 1."""
    node.expect_inputs(1)
    shape, reps = node.shape(), node.attrs.integers("reps", minimum=1, default=(1,))
    count = max(len(shape), len(reps))
    shape, reps = (*(1,) * (count - len(shape)), *shape), (*(1,) * (count - len(reps)), *reps)
    return _tiled(node, reshaped(node, shape, step="axes"), reps)


@translates("repeat")
def repeat(node: Node) -> Tensor:
    """Repeat each element ``repeats`` times along ``axis``, by default all elements in one row."""
    node.expect_inputs(1)
    repeats = node.attrs.integer("repeats", minimum=1)
    value = node.attrs.optional_integer("axis", minimum=-8)
    shape = node.shape() if value is not None else (product(node.shape()),)
    axis = (value or 0) + len(shape) * ((value or 0) < 0)
    if axis not in range(len(shape)):
        raise node.attrs.unsupported("axis", value, f"0 to {len(shape) - 1}")
    before, size, after = shape[:axis], shape[axis], shape[axis + 1 :]
    if repeats == 1:
        return reshaped(node, shape)
    data = reshaped(node, (*before, size, 1, *after), step="axes")
    copies = _tiled(node, data, tuple(repeats if index == axis + 1 else 1 for index in range(len(shape) + 1)), "copies")
    return reshaped(node, (*before, product((size, repeats)), *after), data=copies)


def _tiled(node: Node, data: Tensor, reps: tuple[int, ...], step: str = "") -> Tensor:
    if set(reps) == {1}:
        return data
    shape = tuple(product(pair) for pair in zip(data.shape, reps, strict=True))
    return node.emit_shaped("Tile", (data, node.integers("repeats", *reps)), shape, step=step)
