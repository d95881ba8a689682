"""box_nms: keep the boxes that no higher-scoring box overlaps."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from export.errors import UnsupportedOpError
from export.graph.graph import BOOL, FLOAT32, INT64, ONNX_TYPES
from export.graph.shape import Selected, product
from export.libraries import onnx
from export.ops.registry import translates
from export.ops.reshape import reshaped

if TYPE_CHECKING:
    from export.graph.attributes import Attrs
    from export.graph.graph import Operand, Tensor
    from export.graph.node import Node

FORMATS = ("corner", "center")


@dataclass(frozen=True)
class Suppression:
    """The attributes, with MXNet's defaults (``bounding_box-inl.h``: BoxNMSParam). A row is a box."""

    overlap: float
    least_score: float
    top_k: int
    coordinates: int
    score: int
    label: int  # the column of the class; -1 if there is none
    background: int
    ignore_class: bool
    in_format: str
    out_format: str


def _read(attrs: Attrs) -> Suppression:
    return Suppression(
        overlap=attrs.real("overlap_thresh", 0.5),
        least_score=attrs.real("valid_thresh", 0.0),
        top_k=attrs.integer("topk", -1, minimum=-(2**31)),
        coordinates=attrs.integer("coord_start", 2),
        score=attrs.integer("score_index", 1),
        label=max(attrs.integer("id_index", -1, minimum=-(2**31)), -1),
        background=attrs.integer("background_id", -1, minimum=-(2**31)),
        ignore_class=attrs.boolean("force_suppress", default=False),
        in_format=attrs.choice("in_format", FORMATS, "corner"),
        out_format=attrs.choice("out_format", FORMATS, "corner"),
    )


@translates("_contrib_box_nms")
def box_nms(node: Node) -> Tensor:
    """Sort the boxes (..., boxes, numbers) of each image by score and suppress overlapping boxes of the same class.

    The output has the input's shape: first the boxes that remain, then rows of -1.

    Notes
    -----
    Candidates are the ``topk`` boxes of the highest scores above ``valid_thresh`` whose class is not
    ``background_id``. Equal scores keep the boxes' order. A box whose overlap with an earlier box is above
    ``overlap_thresh`` is suppressed. ONNX's NonMaxSuppression has a score for each class and box, so each class that
    occurs gets a row of scores with minus infinity for the boxes of other classes.
    """
    node.expect_inputs(1)
    wanted = _read(node.attrs)
    count, width = _check(node, wanted)
    if wanted.top_k == 0:
        return node.tensor()
    boxes = reshaped(node, (product(node.shape()[:-2]), count, width), step="boxes")
    candidates = min(wanted.top_k, count) if wanted.top_k > 0 else count
    scores, rows = _candidates(node, wanted, boxes, candidates)
    ranks = _suppressed(node, wanted, rows, scores, candidates)
    rows = _with_empty_rows(node, rows, 1, candidates + 1, "with_empty_row")  # which is that of rank `candidates`
    result = _with_empty_rows(node, _gathered(node, rows, ranks, "remaining_rows"), count - candidates, count, "result")
    if wanted.in_format != wanted.out_format:
        result = _converted(node, wanted, result)
    return reshaped(node, node.shape(), data=result)


def _check(node: Node, wanted: Suppression) -> tuple[int, int]:
    """Return the number of boxes, and of numbers per box."""
    shape = node.shape()
    if len(shape) < 2:
        raise node.malformed(f"its input is {shape}; expected (..., boxes, numbers)")
    count, width = node.length(len(shape) - 2), node.length(len(shape) - 1)
    columns = [wanted.score, *range(wanted.coordinates, wanted.coordinates + 4)]
    columns += [wanted.label] if wanted.label >= 0 else []
    if len(set(columns)) < len(columns) or max(columns) >= width:
        raise node.malformed(
            f"score, coordinates and class are columns {columns}; expected {len(columns)} different columns of {width}"
        )
    if wanted.overlap < 0:
        raise node.attrs.unsupported("overlap_thresh", wanted.overlap, "at least 0")
    if node.tensor().dtype != FLOAT32:
        raise UnsupportedOpError(
            f"{node.op} {node.name!r}: its input is {node.tensor().dtype}; ONNX compares boxes in float32 only. "
            "Cast the boxes to float32 in the network."
        )
    return count, width


def _columns(node: Node, data: Tensor, bounds: tuple[int, int], step: str) -> Tensor:
    numbers = (node.integers(f"{step}_{name}", value) for name, value in zip(("from", "to"), bounds, strict=True))
    shape = (*data.shape[:2], bounds[1] - bounds[0])
    return node.emit_shaped("Slice", (data, *numbers, node.integers("columns", 2)), shape, step=step)


def _column(node: Node, boxes: Tensor, index: int, step: str) -> Tensor:
    """Return one number of each box, (images, boxes)."""
    column = _columns(node, boxes, (index, index + 1), step)
    return reshaped(node, boxes.shape[:2], f"{step}_flat", column)


def _candidates(node: Node, wanted: Suppression, boxes: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """Return scores (images, count) in descending order, minus infinity for boxes that do not count; and the rows."""
    scores = _column(node, boxes, wanted.score, "scores")
    valid = _test(node, "Greater", scores, node.number("valid_thresh", wanted.least_score), "high_scores")
    if wanted.label >= 0:
        background = node.number("background_id", wanted.background)
        is_background = _test(node, "Equal", _column(node, boxes, wanted.label, "classes"), background, "background")
        objects = node.emit_like(scores, "Not", (is_background,), step="objects", dtype=BOOL)
        valid = _test(node, "And", valid, objects, "valid")
    nothing = node.number("nothing", -math.inf)
    scores = node.emit_like(scores, "Where", (valid, scores, nothing), step="valid_scores", dtype=FLOAT32)
    top, order = _top_k(node, scores, count, "top", largest=True)
    return top, _gathered(node, boxes, order, "rows")


def _test(node: Node, op: str, left: Tensor, right: Operand, step: str) -> Tensor:
    return node.emit_like(left, op, (left, right), step=step, dtype=BOOL)


def _gathered(node: Node, rows: Tensor, order: Tensor, step: str) -> Tensor:
    """Return rows (images, boxes, numbers) in the order of indices (images, count)."""
    shape = (*order.shape, rows.shape[2])
    indices = reshaped(node, (*order.shape, 1), f"{step}_index", order)
    return node.emit_shaped("GatherND", (rows, indices), shape, {"batch_dims": 1}, step)


def _suppressed(node: Node, wanted: Suppression, rows: Tensor, scores: Tensor, count: int) -> Tensor:
    """Return the ranks (images, count) of the remaining boxes in ascending order, then ``count`` for the others."""
    if wanted.overlap > 1:  # no box overlaps another by more than 1
        valid = _test(node, "Greater", scores, node.number("nothing", -math.inf), "valid_top")
        every = (node.constant("ranks", np.arange(count)), node.integers("none", count))
        return node.emit_like(scores, "Where", (valid, *every), step="valid_ranks", dtype=INT64)
    each = reshaped(node, (scores.shape[0], 1, count), "one_class", scores)
    if wanted.label >= 0 and not wanted.ignore_class:
        each = _class_scores(node, _column(node, rows, wanted.label, "candidate_classes"), each)
    limits = (
        node.integers("most", count),
        node.constant("overlap_thresh", np.array([wanted.overlap], np.float32)),
        node.constant("least", np.array([np.finfo(np.float32).min])),
    )
    corners = _corners(node, wanted, rows)
    center = {"center_point_box": int(wanted.in_format == "center")}
    shape = (Selected(), 3)  # image, class and rank of each box
    remaining = node.emit_shaped("NonMaxSuppression", (corners, each, *limits), shape, center, "remaining", INT64)
    return _sorted_ranks(node, remaining, scores, count)


def _class_scores(node: Node, labels: Tensor, scores: Tensor) -> Tensor:
    """Return scores (images, classes, boxes), minus infinity for boxes of other classes. MXNet compares integers."""
    images, count = labels.shape
    whole = node.emit_like(labels, "Cast", (labels,), {"to": ONNX_TYPES[INT64]}, "whole_classes", INT64)
    classes = node.emit_shaped("Unique", (whole,), (Selected(),), step="unique_classes")
    classes = node.emit_shaped("Unsqueeze", (classes, node.integers("last", 1)), (Selected(), 1), step="each_class")
    whole = reshaped(node, (images, 1, count), "each_box", whole)
    shape = (images, Selected(), count)
    same = node.emit_shaped("Equal", (whole, classes), shape, step="same_class", dtype=BOOL)
    nothing = node.number("no_score", -math.inf)
    return node.emit_shaped("Where", (same, scores, nothing), shape, step="class_scores", dtype=FLOAT32)


def _corners(node: Node, wanted: Suppression, rows: Tensor) -> Tensor:
    """Return boxes (images, count, 4). ONNX would swap corners in the wrong order. In MXNet such boxes are empty."""
    start = wanted.coordinates
    if wanted.in_format == "center":
        return _columns(node, rows, (start, start + 4), "coordinates")
    low, high = _columns(node, rows, (start, start + 2), "low"), _columns(node, rows, (start + 2, start + 4), "high")
    high = node.emit_like(high, "Max", (low, high), step="ordered")
    return node.emit_shaped("Concat", (low, high), (*low.shape[:2], 4), {"axis": 2}, "coordinates")


def _sorted_ranks(node: Node, remaining: Tensor, scores: Tensor, count: int) -> Tensor:
    """Write the ranks of the boxes that remain over a matrix (images, count) of ``count``, and sort its rows."""
    pair = node.integers("image_and_rank", 0, 2)
    positions = node.emit_shaped("Gather", (remaining, pair), (Selected(), 2), {"axis": 1}, "positions")
    rank = node.constant("rank", np.array(2))
    ranks = node.emit_shaped("Gather", (remaining, rank), (Selected(),), {"axis": 1}, "ranks")
    shape = node.emit_shaped("Shape", (scores,), (2,), step="shape", dtype=INT64)
    fill = {"value": onnx.numpy_helper.from_array(np.array([count]), "value")}
    matrix = node.emit_like(scores, "ConstantOfShape", (shape,), fill, "no_ranks", INT64)
    written = node.emit_like(matrix, "ScatterND", (matrix, positions, ranks), step="written_ranks")
    return _top_k(node, written, count, "sorted", largest=False)[0]


def _top_k(node: Node, data: Tensor, count: int, step: str, *, largest: bool) -> tuple[Tensor, Tensor]:
    attrs = {"axis": 1, "largest": int(largest), "sorted": 1}
    shape = (data.shape[0], count)
    outputs = [(f"{step}_values", shape, data.dtype), (f"{step}_indices", shape, INT64)]
    values, indices = node.emit_several("TopK", (data, node.integers(f"{step}_k", count)), outputs, attrs, step)
    return values, indices


def _with_empty_rows(node: Node, rows: Tensor, added: int, count: int, step: str) -> Tensor:
    """Add rows of -1, up to ``count``."""
    if not added:
        return rows
    pads, empty = node.integers(f"{step}_pads", 0, 0, 0, 0, added, 0), node.number("empty", -1)
    return node.emit_shaped("Pad", (rows, pads, empty), (rows.shape[0], count, rows.shape[2]), step=step)


def _converted(node: Node, wanted: Suppression, rows: Tensor) -> Tensor:
    """Convert the coordinates, except where the first is negative (``bounding_box-inl.h``: center_to_corner)."""
    start, width = wanted.coordinates, rows.shape[2]
    assert isinstance(width, int)
    old = _columns(node, rows, (start, start + 4), "old_coordinates")
    first, second = (_columns(node, old, bounds, f"pair{bounds[0]}") for bounds in ((0, 2), (2, 4)))
    half = node.number("half", 0.5)
    if wanted.out_format == "center":
        doubled = node.emit_like(first, "Add", (first, second), step="doubled")
        parts = (
            node.emit_like(first, "Mul", (doubled, half), step="center"),
            node.emit_like(first, "Sub", (second, first), step="size"),
        )
    else:
        size = node.emit_like(second, "Mul", (second, half), step="half_size")
        parts = (
            node.emit_like(first, "Sub", (first, size), step="low_corner"),
            node.emit_like(first, "Add", (first, size), step="high_corner"),
        )
    new = node.emit_like(old, "Concat", parts, {"axis": 2}, "new_coordinates")
    negative = _test(node, "Less", _columns(node, old, (0, 1), "first_coordinate"), node.number("zero", 0), "negative")
    coordinates = node.emit_like(old, "Where", (negative, old, new), step="coordinates_out", dtype=FLOAT32)
    others = [(0, start), (start + 4, width)]
    before, after = (
        [_columns(node, rows, bounds, f"from{bounds[0]}")] if bounds[0] < bounds[1] else [] for bounds in others
    )
    return node.emit_like(rows, "Concat", (*before, coordinates, *after), {"axis": 2}, "converted")
