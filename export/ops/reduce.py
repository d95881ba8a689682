"""sum, mean, max, min over some axes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from export.ops.registry import translates

if TYPE_CHECKING:
    from export.graph.graph import Tensor
    from export.graph.node import Node


ONNX_OPS = {"sum": "ReduceSum", "mean": "ReduceMean", "max": "ReduceMax", "min": "ReduceMin"}


@translates(*ONNX_OPS)
def reduce(node: Node) -> Tensor:
    """Reduce over ``axis``, one or several; with ``exclude``, over all other axes."""
    node.expect_inputs(1)
    data = node.tensor()
    count = len(data.shape)
    named = node.attrs.integers("axis", minimum=-8, default=())
    axes = {axis + count if axis < 0 else axis for axis in named}
    if node.attrs.boolean("exclude", default=False):
        axes = set(range(count)) - axes
    axes = axes or set(range(count))
    if not axes <= set(node.inner_axes()):
        raise node.attrs.unsupported("axis", named or None, f"some of {node.expected_axes()}")
    keep = node.attrs.boolean("keepdims", default=False)
    if keep or len(axes) < count:
        return reduced(node, ONNX_OPS[node.op], data, axes, keep=keep)
    number = reduced(node, ONNX_OPS[node.op], data, axes, keep=False, step="number")
    return node.emit_shaped("Reshape", (number, node.integers("shape", 1)), (1,))  # MXNet has no tensors with 0 axes


def reduced(node: Node, op: str, data: Tensor, axes: set[int], *, keep: bool, step: str = "") -> Tensor:
    """Reduce a tensor over non-negative ``axes``."""
    shape = tuple(1 if axis in axes else size for axis, size in enumerate(data.shape) if keep or axis not in axes)
    inputs = data, node.integers(f"{step}/axes" if step else "axes", *sorted(axes))
    return node.emit_shaped(op, inputs, shape, {"keepdims": int(keep)}, step)
