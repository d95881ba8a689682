"""norm: the Euclidean norm, or the sum of absolute values."""

from __future__ import annotations

from typing import TYPE_CHECKING

from export.graph.graph import FLOAT16, FLOAT32
from export.ops.registry import translates

if TYPE_CHECKING:
    from export.graph.graph import Tensor
    from export.graph.node import Node


@translates("norm")
def norm(node: Node) -> Tensor:
    """Reduce over ``axis``, one or two, or over all axes. Float16 is summed up in float32."""
    node.expect_inputs(1)
    node.attrs.choice("out_dtype", ("None",), "None")
    order = node.attrs.choice("ord", ("1", "2"), "2")
    keep = node.attrs.boolean("keepdims", default=False)
    given = node.tensor()
    count = len(given.shape)
    named = node.attrs.integers("axis", minimum=-8, default=tuple(range(count)))
    axes = sorted(axis + count if axis < 0 else axis for axis in named)
    if not set(axes) <= set(node.inner_axes()):
        raise node.attrs.unsupported("axis", named, f"some of {node.expected_axes()}")
    data = node.graph.cast(given, FLOAT32, f"{node.name}/single") if given.dtype == FLOAT16 else given
    kept = tuple(1 if axis in axes else size for axis, size in enumerate(data.shape))
    shape = kept if keep else tuple(size for axis, size in enumerate(data.shape) if axis not in axes) or (1,)
    parts = (data,) if order == "1" else (data, data)
    steps = node.emit_like(data, "Abs" if order == "1" else "Mul", parts, step="parts")
    total = node.emit_shaped("ReduceSum", (steps, node.integers("axes", *axes)), kept, {"keepdims": 1}, step="sum")
    if order == "2":
        total = node.emit_like(total, "Sqrt", (total,), step="root")
    removed = axes if shape != (1,) or keep else axes[1:]
    if not keep and removed:
        total = node.emit_shaped("Squeeze", (total, node.integers("removed", *removed)), shape, step="squeezed")
    return total if total.dtype == given.dtype else node.graph.cast(total, given.dtype, node.name)
