"""box_decode: boxes from anchors and predicted offsets."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from export.constants import evaluate_constants
from export.ops.registry import translates

if TYPE_CHECKING:
    from export.graph.graph import Operand, Tensor
    from export.graph.node import Node


@translates("_contrib_box_decode")
def box_decode(node: Node) -> Tensor:
    """Move and scale anchors (1, boxes, 4) by offsets (N, boxes, 4). The output is corners.

    Notes
    -----
    For an anchor of center c and size s: center = x std s + c, size = exp(min(y std, clip)) s
    (``bounding_box-inl.h``: box_decode). A clip of 0 or less means no limit.
    """
    node.expect_inputs(2)
    data, anchors = node.tensor(0), node.shape(1)
    if len(data.shape) != 3 or data.shape[2] != 4 or anchors != (1, *data.shape[1:]):
        raise node.malformed(f"its inputs are {data.shape} and {anchors}; expected (N, boxes, 4) and (1, boxes, 4)")
    if node.inputs[1].dtype != data.dtype:
        raise node.malformed(f"its inputs are {data.dtype} and {node.inputs[1].dtype}")
    deviations = np.array([node.attrs.real(f"std{index}", 1.0) for index in range(4)], data.dtype)
    clip = node.attrs.real("clip", -1.0)
    center, size = _anchors(node, node.attrs.choice("format", ("corner", "center"), "center"))
    moves, scales = _pair(node, data, 0, "moves"), _pair(node, data, 2, "scales")
    moves = node.emit_like(moves, "Mul", (moves, node.constant("std_moves", deviations[:2])), step="scaled_moves")
    moves = node.emit_like(moves, "Mul", (moves, size), step="sized_moves")
    middle = node.emit_like(moves, "Add", (moves, center), step="middle")
    scales = node.emit_like(scales, "Mul", (scales, node.constant("std_scales", deviations[2:])), step="scaled_scales")
    if clip > 0:
        scales = node.emit_like(scales, "Min", (scales, node.number("clip", clip)), step="clipped")
    scales = node.emit_like(scales, "Exp", (scales,), step="factors")
    scales = node.emit_like(scales, "Mul", (scales, size), step="size")
    half = node.emit_like(scales, "Mul", (scales, node.number("half", 0.5)), step="half_size")
    low = node.emit_like(middle, "Sub", (middle, half), step="low")
    high = node.emit_like(middle, "Add", (middle, half), step="high")
    return node.emit_like(data, "Concat", (low, high), {"axis": 2})


def _anchors(node: Node, encoding: str) -> tuple[Operand, Operand]:
    """Return centers and sizes (1, boxes, 2), computed at export if the anchors are parameters."""
    start, anchors = len(node.graph.nodes), node.tensor(1)
    first, second = _pair(node, anchors, 0, "anchors"), _pair(node, anchors, 2, "anchor_sizes")
    if encoding == "corner":
        second = node.emit_like(first, "Sub", (second, first), step="anchor_differences")
        half = node.emit_like(first, "Mul", (second, node.number("anchor_half", 0.5)), step="half_anchors")
        first = node.emit_like(first, "Add", (first, half), step="anchor_centers")
    center, size = evaluate_constants(node.graph, start, (first, second))
    return center, size


def _pair(node: Node, data: Tensor, start: int, step: str) -> Tensor:
    bounds = (
        node.integers(f"{step}_{name}", number) for name, number in (("from", start), ("to", start + 2), ("axis", 2))
    )
    return node.emit_shaped("Slice", (data, *bounds), (*data.shape[:2], 2), step=step)
