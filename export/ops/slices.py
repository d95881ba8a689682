"""slice, slice_axis, slice_like, SliceChannel, Crop: cut tensors into parts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from export.graph.attributes import MIN_INDEX
from export.ops.registry import translates

if TYPE_CHECKING:
    from export.graph.graph import Shape, Tensor
    from export.graph.node import Node

Range = tuple[int, int, int]  # start, stop, step along one axis


@translates("slice_axis")
def slice_axis(node: Node) -> Tensor:
    """Slice from ``begin`` to ``end``, by default the end of the axis. Negative indices count from there."""
    node.expect_inputs(1)
    shape = (1, *node.tensor().row)
    begin, end = node.attrs.integer("begin", minimum=MIN_INDEX), node.attrs.optional_integer("end", MIN_INDEX)
    if begin == 0 and end is None:  # nothing is cut, on whichever axis, the batch included
        node.attrs.integer("axis", minimum=-8)
        return node.tensor()
    axis = node.axis("axis")
    return _slice(node, {axis: _range(node, axis, shape[axis], (begin, end, 1))})


@translates("slice")
def slice_all(node: Node) -> Tensor:
    """Slice the first axes, with steps, which may be negative."""
    node.expect_inputs(1)
    shape = (1, *node.tensor().row)
    begins, ends = node.attrs.optional_integers("begin") or (), node.attrs.optional_integers("end") or ()
    steps = node.attrs.optional_integers("step") or (1,) * len(begins)
    if not 1 <= len(begins) == len(ends) == len(steps) <= len(shape):
        raise node.malformed(
            f"begin {begins}, end {ends} and step {steps} differ in length, or are more than the {len(shape)} axes"
        )
    if begins[0] or ends[0] is not None or steps[0] not in (None, 1):
        raise node.attrs.unsupported("begin", begins, "all of axis 0, the batch")
    ranges = {
        axis: _range(node, axis, shape[axis], (begins[axis], ends[axis], steps[axis] or 1))
        for axis in range(1, len(begins))
    }
    return _slice(node, {axis: bounds for axis, bounds in ranges.items() if bounds != (0, shape[axis], 1)})


@translates("slice_like")
def slice_like(node: Node) -> Tensor:
    """Cut to the length of the second input along ``axes``, by default all but the batch axis."""
    node.expect_inputs(2)
    data, other = node.tensor(0), node.tensor(1)
    count = len(data.row) + 1
    named = node.attrs.integers("axes", minimum=-8, default=tuple(range(count)))
    axes = {axis + count if axis < 0 else axis for axis in named} - {0}
    if not axes <= set(range(1, min(count, len(other.row) + 1))):
        raise node.malformed(f"axes {named} are not axes of its inputs {data.row} and {other.row}")
    ranges = {axis: (0, other.row[axis - 1], 1) for axis in sorted(axes) if other.row[axis - 1] != data.row[axis - 1]}
    if any(stop > data.row[axis - 1] for axis, (_, stop, _) in ranges.items()):
        raise node.malformed(f"its input {data.row} is smaller than {other.row}")
    return _slice(node, ranges)


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
        raise node.malformed(f"{wanted[0]} x {wanted[1]} px from {tuple(starts)} are not in {size[0]} x {size[1]} px")
    ranges = {axis + 2: (starts[axis], starts[axis] + wanted[axis], 1) for axis in (0, 1) if spare[axis]}
    return _slice(node, ranges)


@translates("SliceChannel")
def slice_channel(node: Node) -> tuple[Tensor, ...]:
    """Split into equal parts along ``axis``, 1 by default; ``squeeze_axis`` removes the axis from parts of length 1."""
    node.expect_inputs(1)
    count = node.attrs.integer("num_outputs", minimum=1)
    axis = node.axis("axis", 1)
    squeeze = node.attrs.boolean("squeeze_axis", default=False)
    data = node.tensor()
    length, rest = data.row[axis - 1] // count, data.row[axis - 1] % count
    if rest or length < 1 or (squeeze and length != 1):
        raise node.malformed(
            f"its axis of {data.row[axis - 1]} cannot be split into {count} equal parts (squeeze_axis={squeeze})"
        )
    parts = []
    for index in range(count):
        step = f"part{index}" if squeeze else f"{index}"
        part = _slice(node, {axis: (index * length, (index + 1) * length, 1)}, step) if count > 1 else data
        if squeeze:
            row = (*data.row[: axis - 1], *data.row[axis:])
            part = node.emit("Reshape", (part, node.integers("shape", 0, *row)), row, step=f"{index}")
        parts.append(part)
    return tuple(parts)


def _range(node: Node, axis: int, length: int, given: tuple[int | None, int | None, int]) -> Range:
    """Return MXNet's range (``matrix_op-inl.h``: GetIndexRange); stop is -1 if it is before the first element."""
    begin, end, step = given
    start = (0 if step > 0 else length - 1) if begin is None else begin + length * (begin < 0)
    stop = (length if step > 0 else -1) if end is None else end + length * (end < 0)
    start = max(start, 0) if step > 0 else min(start, length - 1)
    stop = min(max(stop, -1), length)
    if not 0 <= start < length or (stop - start) * step <= 0:
        raise node.malformed(f"its range {given} is empty along axis {axis}, of length {length}")
    return start, stop, step


def _slice(node: Node, ranges: dict[int, Range], step: str = "") -> Tensor:
    data = node.tensor()
    if not ranges:
        return data
    row: Shape = tuple(
        len(range(*ranges[axis])) if axis in ranges else length for axis, length in enumerate(data.row, start=1)
    )
    starts, stops, steps = zip(*ranges.values(), strict=True)
    ends = tuple(stop if stop >= 0 else MIN_INDEX for stop in stops)  # in ONNX, -1 means the last element
    numbers = {"starts": starts, "ends": ends, "axes": tuple(ranges), "steps": steps}
    constants = (node.integers(name, *values) for name, values in numbers.items())
    return node.emit("Slice", (data, *constants), row, step=step)
