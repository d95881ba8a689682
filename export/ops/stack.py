"""stack: join tensors of one shape along a new axis."""

from __future__ import annotations

from typing import TYPE_CHECKING

from export.ops.registry import translates

if TYPE_CHECKING:
    from export.graph.graph import Tensor
    from export.graph.node import Node


@translates("stack")
def stack(node: Node) -> Tensor:
    """Join along the new axis ``axis``, by default the first; negative values count from after the last axis."""
    count = node.attrs.integer("num_args", minimum=1)
    node.expect_inputs(count)
    tensors = [node.tensor(index) for index in range(count)]
    node.require_one_type(*tensors)
    shape = tensors[0].shape
    if any(tensor.shape != shape for tensor in tensors):
        raise node.malformed(f"its inputs {', '.join(str(tensor.shape) for tensor in tensors):.200} differ in shape")
    value = node.attrs.integer("axis", 0, minimum=-8)
    axis = value + len(shape) + 1 if value < 0 else value
    if not 0 <= axis <= len(shape):
        raise node.attrs.unsupported("axis", value, f"0 to {len(shape)}")
    before, after = shape[:axis], shape[axis:]
    axes = node.integers("axes", axis)
    parts = tuple(
        node.emit_shaped("Unsqueeze", (tensor, axes), (*before, 1, *after), step=f"part{index}")
        for index, tensor in enumerate(tensors)
    )
    return node.emit_shaped("Concat", parts, (*before, count, *after), {"axis": axis})
