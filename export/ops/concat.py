"""Concat: join tensors along one axis."""

from __future__ import annotations

from typing import TYPE_CHECKING

from export.ops.registry import translates

if TYPE_CHECKING:
    from export.graph.graph import Tensor
    from export.graph.node import Node


@translates("Concat")
def concat(node: Node) -> Tensor:
    """Join tensors along ``dim``, by default the channels."""
    count = node.attrs.integer("num_args", minimum=1)
    node.expect_inputs(count)
    tensors = tuple(node.tensor(index) for index in range(count))
    node.require_one_type(*tensors)
    first = tensors[0].row
    axis = node.axis("dim", 1)
    position = axis - 1  # of that axis in `Tensor.row`
    if any(tensor.row[:position] != first[:position] or tensor.row[axis:] != first[axis:] for tensor in tensors):
        shapes = ", ".join(str(tensor.row) for tensor in tensors)
        raise node.malformed(f"its inputs {shapes:.200} differ in more than axis {position}")
    row = (*first[:position], sum(tensor.row[position] for tensor in tensors), *first[axis:])
    return node.emit("Concat", tensors, row, {"axis": axis})
