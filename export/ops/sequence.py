"""SequenceMask, SequenceLast, SequenceReverse: sequences of different lengths in one tensor."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from export.graph.graph import BOOL, INT64
from export.ops._indices import limited, whole_numbers
from export.ops.registry import translates
from export.ops.reshape import transposed

if TYPE_CHECKING:
    from export.graph.graph import Operand, Tensor
    from export.graph.node import Node


@translates("SequenceMask")
def sequence_mask(node: Node) -> Tensor:
    """Replace elements past each sequence's length by ``value``. Time is ``axis``, 0 or 1; sequences are the other."""
    time, lengths = _sequences(node, (0, 1))
    value = node.attrs.real("value", 0.0)
    data = node.tensor()
    if lengths is None:
        return data
    inside = within_lengths(node, data, lengths, time)
    return node.emit_shaped("Where", (inside, data, node.number("value", value)), data.shape, dtype=data.dtype)


@translates("SequenceLast")
def sequence_last(node: Node) -> Tensor:
    """Take each sequence's last element. Time is ``axis``, 0 or 1. The other one counts sequences.

    For lengths out of range, for which MXNet reads out of bounds, it is the first or the last element.
    """
    time, lengths = _sequences(node, (0, 1))
    data = node.tensor()
    shape = (*data.shape[:time], *data.shape[time + 1 :])
    if lengths is None:
        last = node.constant("last", np.array(node.length(time) - 1))
        return node.emit_shaped("Gather", (data, last), shape, {"axis": time})
    if time == 0:
        data = transposed(node, (1, 0, *range(2, len(data.shape))), "sequences")
    lengths = limited(node, lengths, 1, node.length(time))
    one = node.constant("one", np.array(1))
    last_index = node.emit_shaped("Sub", (lengths, one), node.shape(1), step="last_index", dtype=INT64)
    column = (*node.shape(1), 1)
    last_index = node.emit_shaped("Unsqueeze", (last_index, node.integers("axes", 1)), column, step="column")
    return node.emit_shaped("GatherND", (data, last_index), shape, {"batch_dims": 1})


@translates("SequenceReverse")
def sequence_reverse(node: Node) -> Tensor:
    """Reverse each sequence and keep the elements past its length. Time is axis 0, sequences are axis 1."""
    time, lengths = _sequences(node, (0,))
    data = node.tensor()
    if lengths is None:
        begin, end = node.integers("begin", -1), node.integers("end", np.iinfo(np.int64).min)
        axes, step = node.integers("axes", time), node.integers("step", -1)
        return node.emit_like(data, "Slice", (data, begin, end, axes, step))
    lengths = limited(node, lengths, 0, node.length(time))
    return node.emit_like(data, "ReverseSequence", (data, lengths), {"time_axis": 0, "batch_axis": 1})


def within_lengths(node: Node, data: Tensor, lengths: Operand, time: int) -> Tensor:
    """Compare the positions along axis ``time`` of ``data`` with lengths, which have its shape without that axis.

    Lengths may lack the last axes.
    """
    shape, behind = data.shape, len(data.shape) - time - 1
    positions = node.constant("positions", np.arange(node.length(time)).reshape(-1, *[1] * behind))
    missing = len(shape) - 1 - len(node.shape(1))
    added = [time, *range(len(shape) - missing, len(shape))]
    column = [1 if axis in added else shape[axis] for axis in range(len(shape))]
    columns = node.emit_shaped(
        "Unsqueeze", (lengths, node.integers("added", *added)), tuple(column), step="columns", dtype=INT64
    )
    inside = tuple(shape[time] if axis == time else size for axis, size in enumerate(column))
    return node.emit_shaped("Less", (positions, columns), inside, step="inside", dtype=BOOL)


def _sequences(node: Node, axes: tuple[int, ...]) -> tuple[int, Operand | None]:
    """Return the axis of time, and the lengths as int64 if the operator uses them."""
    uses_lengths = node.attrs.boolean("use_sequence_length", default=False)
    node.expect_inputs(2 if uses_lengths else 1)
    time = node.attrs.integer("axis", 0, minimum=-8)
    shape = node.shape()
    if time not in axes or time not in node.inner_axes():
        raise node.attrs.unsupported("axis", time, f"{' or '.join(map(str, axes))}, but not the batch")
    if len(shape) < 2:
        raise node.malformed(f"its input is {shape}; expected (T, N, ...)")
    if not uses_lengths:
        return time, None
    if node.shape(1) != (shape[1 - time],):
        raise node.malformed(f"its lengths are {node.shape(1)}; expected one for each sequence of {shape}")
    return time, whole_numbers(node, 1, "lengths")
