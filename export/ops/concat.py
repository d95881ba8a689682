"""Concat: join tensors along one axis."""

from __future__ import annotations

from typing import TYPE_CHECKING

from export.graph.shape import total
from export.ops.registry import translates

if TYPE_CHECKING:
    from export.graph.graph import Tensor
    from export.graph.node import Node


@translates("Concat", "_rnn_param_concat")
def concat(node: Node) -> Tensor:
    """Join tensors along ``dim``, by default the channels."""
    count = node.attrs.integer("num_args", minimum=1)
    node.expect_inputs(count)
    tensors = tuple(node.tensor(index) for index in range(count))
    node.require_one_type(*tensors)
    value = node.attrs.integer("dim", 1, minimum=-8)
    axes = len(tensors[0].shape)
    axis = value + axes if value < 0 else value
    if axis not in range(axes):
        raise node.attrs.unsupported("dim", value, f"0 to {axes - 1}")
    return joined(node, tensors, axis)


def joined(node: Node, tensors: tuple[Tensor, ...], axis: int) -> Tensor:
    """Join tensors that differ in the length of one axis alone."""
    first = tensors[0].shape
    length = total(tensor.shape[axis] for tensor in tensors if len(tensor.shape) > axis)
    others = {(tensor.shape[:axis], tensor.shape[axis + 1 :]) for tensor in tensors}
    if length is None or len(others) > 1:
        shapes = ", ".join(str(tensor.shape) for tensor in tensors)
        raise node.malformed(f"its inputs {shapes:.200} differ in more than axis {axis}")
    return node.emit_shaped("Concat", tensors, (*first[:axis], length, *first[axis + 1 :]), {"axis": axis})
