"""Pad: add a border, constant, repeated from the edge, or mirrored."""

from __future__ import annotations

from typing import TYPE_CHECKING

from export.ops.registry import translates

if TYPE_CHECKING:
    from export.graph.graph import Operand, Tensor
    from export.graph.node import Node


@translates("Pad")
def pad(node: Node) -> Tensor:
    """Pad by ``pad_width``: (before, after) for each axis in turn. ONNX takes all befores first, then all afters."""
    node.expect_inputs(1)
    data = node.tensor()
    axes = len(data.row) + 1
    widths = node.attrs.integers("pad_width", 2 * axes)
    mode = node.attrs.choice("mode", ("constant", "edge", "reflect"))
    value = node.attrs.real("constant_value", 0.0)
    before, after = widths[::2], widths[1::2]
    if before[0] or after[0]:
        raise node.attrs.unsupported("pad_width", widths, "0 for axis 0, the batch")
    row = tuple(sum(sizes) for sizes in zip(before[1:], data.row, after[1:], strict=True))
    if row == data.row:
        return data
    inputs: tuple[Operand, ...] = (data, node.integers("pads", *before, *after))
    if mode == "constant" and value:
        inputs = (*inputs, node.number("value", value))
    return node.emit("Pad", inputs, row, {"mode": mode})
