"""Concat, concatenate, stack: join tensors along an axis, or along a new one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from export.errors import UnsupportedOpError
from export.graph.shape import total
from export.ops.registry import translates

if TYPE_CHECKING:
    from export.graph.graph import Tensor
    from export.graph.node import Node

# Operator -> the attribute of the axis, and its default
JOINS = {"Concat": ("dim", 1), "_rnn_param_concat": ("dim", 1), "_npi_concatenate": ("axis", 0)}
# Operator -> the axis along which it joins, and the number of axes below which NumPy would add some first
STACKS = {"_npi_vstack": (0, 2), "_npi_hstack": (1, 2), "_npi_column_stack": (1, 2), "_npi_dstack": (2, 3)}


@translates(*JOINS)
def concat(node: Node) -> Tensor:
    """Join tensors along an axis; refuse to flatten them, as NumPy's ``axis=None`` does."""
    tensors = _tensors(node)
    axes, (name, default) = len(tensors[0].shape), JOINS[node.op]
    if node.attrs.is_none(name):
        raise node.attrs.unsupported(name, None, f"0 to {axes - 1}")
    value = node.attrs.integer(name, default, minimum=-8)
    axis = value + axes if value < 0 else value
    if axis not in range(axes):
        raise node.attrs.unsupported(name, value, f"0 to {axes - 1}")
    return _joined(node, tensors, axis)


@translates(*STACKS)
def numpy_stack(node: Node) -> Tensor:
    """Join tensors along the axis that the operator implies."""
    tensors = _tensors(node)
    axis, least = STACKS[node.op]
    for tensor in tensors:
        if len(tensor.shape) < least:
            raise UnsupportedOpError(
                f"{node.op} {node.name!r}: its input {tensor.shape} has fewer than {least} axes. "
                "Use concatenate or stack in the network."
            )
    return _joined(node, tensors, axis)


@translates("stack")
def stack(node: Node) -> Tensor:
    """Join along the new axis ``axis``, by default the first. Negative values count from after the last axis."""
    tensors = _tensors(node)
    shape = tensors[0].shape
    if any(tensor.shape != shape for tensor in tensors):
        raise node.malformed(f"its inputs {', '.join(str(tensor.shape) for tensor in tensors):.200} differ in shape")
    value = node.attrs.integer("axis", 0, minimum=-8)
    axis = value + len(shape) + 1 if value < 0 else value
    if not 0 <= axis <= len(shape):
        raise node.attrs.unsupported("axis", value, f"0 to {len(shape)}")
    before, after = shape[:axis], shape[axis:]
    axes = node.integers("axes", axis)
    parts = tuple(
        node.emit_shaped("Unsqueeze", (tensor, axes), (*before, 1, *after), step=f"part{index}")
        for index, tensor in enumerate(tensors)
    )
    return node.emit_shaped("Concat", parts, (*before, len(tensors), *after), {"axis": axis})


def _tensors(node: Node) -> tuple[Tensor, ...]:
    count = node.attrs.integer("num_args", minimum=1)
    node.expect_inputs(count)
    tensors = tuple(node.tensor(index) for index in range(count))
    node.require_one_type(*tensors)
    return tensors


def _joined(node: Node, tensors: tuple[Tensor, ...], axis: int) -> Tensor:
    """Join tensors that differ only in the length of one axis."""
    first = tensors[0].shape
    length = total(tensor.shape[axis] for tensor in tensors if len(tensor.shape) > axis)
    others = {(tensor.shape[:axis], tensor.shape[axis + 1 :]) for tensor in tensors}
    if length is None or len(others) > 1:
        shapes = ", ".join(str(tensor.shape) for tensor in tensors)
        raise node.malformed(f"its inputs {shapes:.200} differ in more than axis {axis}")
    return node.emit_shaped("Concat", tensors, (*first[:axis], length, *first[axis + 1 :]), {"axis": axis})
