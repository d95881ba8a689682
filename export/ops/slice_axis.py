"""slice_axis: a range of one axis."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from export.registry import translates

if TYPE_CHECKING:
    from export.graph import Tensor
    from export.node import Node

FIRST = -(2**31)  # MXNet keeps places as 32-bit numbers


@translates("slice_axis")
def slice_axis(node: Node) -> Tensor:
    """From ``begin`` up to ``end``; negative places count from the end, and no ``end`` is the end itself."""
    node.expect_inputs(1)
    data = node.tensor()
    shape = (0, *data.row)
    dim = node.attrs.integer("axis", minimum=-8)
    axis = dim % len(shape) if -len(shape) <= dim < len(shape) else dim
    begin, end = node.attrs.integer("begin", minimum=FIRST), node.attrs.optional_integer("end", minimum=FIRST)
    if begin == 0 and end is None:
        return data
    if not 1 <= axis < len(shape):
        raise node.attrs.unsupported("axis", dim, f"1 to {len(data.row)}: images stay apart")
    length = shape[axis]
    start = begin + length if begin < 0 else begin
    stop = length if end is None else end + length if end < 0 else end
    if not 0 <= start < stop <= length:
        raise node.malformed(f"its range {start} to {stop} does not lie within the {length} of axis {axis}")
    places = tuple(
        node.constant(name, np.array([number], np.int64))
        for name, number in (("starts", start), ("ends", stop), ("axes", axis))
    )
    row = tuple(stop - start if place == axis else size for place, size in enumerate(shape))[1:]
    return node.emit("Slice", (data, *places), row)
