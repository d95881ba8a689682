"""slice, slice_axis, slice_like, SliceChannel, split, Crop: cut tensors into parts."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

from export.graph.attributes import MIN_INDEX
from export.graph.graph import INT64
from export.graph.shape import Batch
from export.ops.registry import translates
from export.ops.reshape import reshaped

if TYPE_CHECKING:
    from export.graph.graph import Tensor
    from export.graph.node import Node
    from export.graph.shape import Size

Range = tuple[int, int, int]  # start, stop, step along one axis


@translates("slice_axis")
def slice_axis(node: Node) -> Tensor:
    """Slice from ``begin`` to ``end``, by default the end of the axis. Negative indices count from the end."""
    node.expect_inputs(1)
    begin, end = node.attrs.integer("begin", minimum=MIN_INDEX), node.attrs.optional_integer("end", MIN_INDEX)
    if begin == 0 and end is None:  # nothing is cut, on any axis including the batch
        node.attrs.integer("axis", minimum=-8)
        return node.tensor()
    return _slice(node, {(axis := node.axis("axis")): _range(node, axis, (begin, end, 1))})


@translates("slice")
def slice_all(node: Node) -> Tensor:
    """Slice the first axes, with steps, which may be negative."""
    node.expect_inputs(1)
    shape = node.shape()
    begins, ends = node.attrs.optional_integers("begin") or (), node.attrs.optional_integers("end") or ()
    steps = node.attrs.optional_integers("step") or (1,) * len(begins)
    if not 1 <= len(begins) == len(ends) == len(steps) <= len(shape):
        raise node.malformed(
            f"begin {begins}, end {ends} and step {steps} differ in length, or are more than the {len(shape)} axes"
        )
    ranges = {}
    for axis, (begin, end, step) in enumerate(zip(begins, ends, steps, strict=True)):
        if not begin and end is None and step in (None, 1):
            continue
        if isinstance(shape[axis], Batch):
            raise node.attrs.unsupported("begin", begins, f"all of axis {axis}, the batch")
        ranges[axis] = _range(node, axis, (begin, end, step or 1))
    return _slice(node, ranges)


@translates("reverse")
def reverse(node: Node) -> Tensor:
    """Reverse the order of the elements along ``axis``, one or several."""
    node.expect_inputs(1)
    axes = sorted(set(node.attrs.integers("axis")))
    if not set(axes) <= set(node.inner_axes()):
        raise node.attrs.unsupported("axis", axes, f"some of {node.expected_axes()}")
    return _slice(node, {axis: (node.length(axis) - 1, -1, -1) for axis in axes})


@translates("slice_like")
def slice_like(node: Node) -> Tensor:
    """Cut to the length of the second input along ``axes``, by default all."""
    node.expect_inputs(2)
    shape, other = node.shape(0), node.shape(1)
    named = node.attrs.integers("axes", minimum=-8, default=tuple(range(len(shape))))
    axes = sorted(axis + len(shape) if axis < 0 else axis for axis in named)
    if not set(axes) <= set(range(min(len(shape), len(other)))):
        raise node.malformed(f"axes {named} are not axes of its inputs {shape} and {other}")
    lengths = {axis: other[axis] for axis in axes if shape[axis] != other[axis]}
    for axis, wanted in lengths.items():
        size = shape[axis]
        if isinstance(size, Batch) or (not isinstance(wanted, Batch) and wanted > size):
            raise node.malformed(f"its input {shape} is smaller than {other}, or their batch axes differ")
    known = {axis: (0, wanted, 1) for axis, wanted in lengths.items() if not isinstance(wanted, Batch)}
    return _slice(node, known) if len(known) == len(lengths) else _slice_to_batch(node, lengths)


def _slice_to_batch(node: Node, lengths: dict[int, Size]) -> Tensor:
    """Cut axes to the second input's lengths at run time, which grow with the batch."""
    data, other = node.tensor(0), node.tensor(1)
    axes = node.integers("axes", *lengths)
    whole = node.emit_shaped("Shape", (other,), (len(other.shape),), step="like_shape", dtype=INT64)
    ends = node.emit_shaped("Gather", (whole, axes), (len(lengths),), step="ends")
    starts = node.integers("starts", *(0 for _ in lengths))
    shape = tuple(lengths.get(axis, size) for axis, size in enumerate(data.shape))
    return node.emit_shaped("Slice", (data, starts, ends, axes), shape, dtype=data.dtype)


@translates("Crop")
def crop(node: Node) -> Tensor:
    """Cut images to ``h_w``, or to the size of the second input, from ``offset`` or from the center."""
    count = node.attrs.integer("num_args", minimum=1)
    if count > 2:
        raise node.attrs.unsupported("num_args", count, "1 or 2")
    node.expect_inputs(count)
    offset, wanted = (node.attrs.integers(name, 2, (0, 0)) for name in ("offset", "h_w"))
    centered = node.attrs.boolean("center_crop", default=False)
    _, _, *size = node.image()
    if count == 2:
        other = node.tensor(1)
        if len(other.row) != 3:
            raise node.malformed(f"its second input is (N, {', '.join(map(str, other.row))}); expected (N, C, H, W)")
        wanted = other.row[1:]
    spare = [length - part for length, part in zip(size, wanted, strict=True)]
    starts = [rest // 2 for rest in spare] if centered else list(offset)
    if min(wanted) < 1 or any(not 0 <= start <= rest for start, rest in zip(starts, spare, strict=True)):
        raise node.malformed(
            f"a crop of {wanted[0]} x {wanted[1]} px at {tuple(starts)} exceeds its input of {size[0]} x {size[1]} px"
        )
    ranges = {axis + 2: (starts[axis], starts[axis] + wanted[axis], 1) for axis in (0, 1) if spare[axis]}
    return _slice(node, ranges)


@translates("SliceChannel")
def slice_channel(node: Node) -> tuple[Tensor, ...]:
    """Split into equal parts along ``axis``, 1 by default. ``squeeze_axis`` removes the axis from parts of length 1."""
    node.expect_inputs(1)
    count = node.attrs.integer("num_outputs", minimum=1)
    axis = node.axis("axis", 1)
    squeeze = node.attrs.boolean("squeeze_axis", default=False)
    size = node.length(axis)
    length, rest = size // count, size % count
    if rest or length < 1 or (squeeze and length != 1):
        raise node.malformed(f"its axis of {size} cannot be split into {count} equal parts (squeeze_axis={squeeze})")
    return tuple(
        _part(node, axis, (index * length, (index + 1) * length, 1), index, squeeze=squeeze) for index in range(count)
    )


@translates("_split_v2", "_npi_hsplit")
def split(node: Node) -> tuple[Tensor, ...]:
    """Split along ``axis`` into ``sections`` equal parts, or at the starts ``indices``, the first of which is 0."""
    node.expect_inputs(1)
    axis = node.axis("axis", 1)
    sections = node.attrs.integer("sections", 0)
    starts = node.attrs.integers("indices", default=())
    squeeze = node.attrs.boolean("squeeze_axis", default=False)
    size = node.length(axis)
    if sections:
        if sections > size or size % sections:
            raise node.malformed(f"its axis of {size} cannot be split into {sections} equal parts")
        starts = tuple(range(0, size, size // sections))
    bounds = (*starts, size)
    lengths = {stop - start for start, stop in pairwise(bounds)}
    if not starts or starts[0] or min(lengths) < 1 or (squeeze and lengths != {1}):
        raise node.malformed(f"its axis of {size} cannot be split at {bounds[:-1]} (squeeze_axis={squeeze})")
    return tuple(
        _part(node, axis, (start, stop, 1), index, squeeze=squeeze)
        for index, (start, stop) in enumerate(pairwise(bounds))
    )


def _part(node: Node, axis: int, bounds: Range, index: int, *, squeeze: bool) -> Tensor:
    part = _slice(node, {axis: bounds}, f"part{index}" if squeeze else f"{index}")
    if not squeeze:
        return part
    shape = (*part.shape[:axis], *part.shape[axis + 1 :])
    return reshaped(node, shape, f"{index}", part)


def _range(node: Node, axis: int, given: tuple[int | None, int | None, int]) -> Range:
    """Return MXNet's range (``matrix_op-inl.h``: GetIndexRange). The stop is -1 if it is before the first element."""
    begin, end, step = given
    length = node.length(axis)
    start = (0 if step > 0 else length - 1) if begin is None else begin + length * (begin < 0)
    stop = (length if step > 0 else -1) if end is None else end + length * (end < 0)
    start = max(start, 0) if step > 0 else min(start, length - 1)
    stop = min(max(stop, -1), length)
    if not 0 <= start < length or (stop - start) * step <= 0:
        raise node.malformed(f"its range {given} is empty along axis {axis}, of length {length}")
    return start, stop, step


def _slice(node: Node, ranges: dict[int, Range], step: str = "") -> Tensor:
    data = node.tensor()
    ranges = {axis: bounds for axis, bounds in ranges.items() if bounds != (0, data.shape[axis], 1)}
    if not ranges:
        return data
    shape = tuple(len(range(*ranges[axis])) if axis in ranges else size for axis, size in enumerate(data.shape))
    starts, stops, steps = zip(*ranges.values(), strict=True)
    ends = tuple(stop if stop >= 0 else MIN_INDEX for stop in stops)  # in ONNX, -1 means the last element
    numbers = {"starts": starts, "ends": ends, "axes": tuple(ranges), "steps": steps}
    constants = (node.integers(name, *values) for name, values in numbers.items())
    return node.emit_shaped("Slice", (data, *constants), shape, step=step)
