"""sum, mean: over some axes."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from export.registry import translates

if TYPE_CHECKING:
    from export.graph import Shape, Tensor
    from export.node import Node


@translates("sum", "mean")
def reduce(node: Node) -> Tensor:
    """Over ``axis``, a number or several; over all others with ``exclude``."""
    node.expect_inputs(1)
    data = node.tensor()
    count = len(data.row) + 1
    named = node.attrs.integers("axis", minimum=-8, default=())
    axes = {axis + count if axis < 0 else axis for axis in named}
    if node.attrs.boolean("exclude", False):
        axes = set(range(count)) - axes
    if not axes or not axes <= set(range(1, count)):
        raise node.attrs.unsupported("axis", named or None, f"some of 1 to {count - 1}: images stay apart")
    keep = node.attrs.boolean("keepdims", False)
    row: Shape = tuple(
        1 if axis in axes else size for axis, size in enumerate(data.row, start=1) if keep or axis not in axes
    )
    inputs = (data, node.places("axes", *sorted(axes)))
    if node.op == "sum":
        return node.emit("ReduceSum", inputs, row, {"keepdims": int(keep)})
    total = node.emit("ReduceSum", inputs, row, {"keepdims": int(keep)}, step="sum")
    share = 1 / math.prod(data.row[axis - 1] for axis in axes)  # ReduceMean takes its axes as an input from 18 only
    return node.emit("Mul", (total, node.number("share", share)), row)
