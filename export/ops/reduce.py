"""sum, mean, max, min over some axes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from export.ops.registry import translates

if TYPE_CHECKING:
    from export.graph.graph import Shape, Tensor
    from export.graph.node import Node


ONNX_OPS = {"sum": "ReduceSum", "mean": "ReduceMean", "max": "ReduceMax", "min": "ReduceMin"}


@translates(*ONNX_OPS)
def reduce(node: Node) -> Tensor:
    """Reduce over ``axis``, one or several; with ``exclude``, over all other axes."""
    node.expect_inputs(1)
    data = node.tensor()
    count = len(data.row) + 1
    named = node.attrs.integers("axis", minimum=-8, default=())
    axes = {axis + count if axis < 0 else axis for axis in named}
    if node.attrs.boolean("exclude", default=False):
        axes = set(range(count)) - axes
    if not axes or not axes <= set(range(1, count)):
        raise node.attrs.unsupported("axis", named or None, f"some of 1 to {count - 1}; axis 0 is the batch")
    keep = node.attrs.boolean("keepdims", default=False)
    row: Shape = tuple(
        1 if axis in axes else size for axis, size in enumerate(data.row, start=1) if keep or axis not in axes
    )
    return node.emit(ONNX_OPS[node.op], (data, node.integers("axes", *sorted(axes))), row, {"keepdims": int(keep)})
