"""NumPy's concatenate, hstack, vstack, dstack and column_stack."""

from __future__ import annotations

from typing import TYPE_CHECKING

from export.errors import UnsupportedOpError
from export.ops.concat import joined
from export.ops.registry import translates

if TYPE_CHECKING:
    from export.graph.graph import Tensor
    from export.graph.node import Node

# Operator -> the axis along which it joins, and the number of axes below which NumPy would add some first
STACKS = {"_npi_vstack": (0, 2), "_npi_hstack": (1, 2), "_npi_column_stack": (1, 2), "_npi_dstack": (2, 3)}


@translates("_npi_concatenate")
def concatenate(node: Node) -> Tensor:
    """Join tensors along ``axis``, by default the first; refuse to flatten them, as ``axis=None`` does."""
    tensors = _tensors(node)
    axes = len(tensors[0].shape)
    if node.attrs.is_none("axis"):
        raise node.attrs.unsupported("axis", None, f"0 to {axes - 1}")
    value = node.attrs.integer("axis", 0, minimum=-8)
    axis = value + axes if value < 0 else value
    if axis not in range(axes):
        raise node.attrs.unsupported("axis", value, f"0 to {axes - 1}")
    return joined(node, tensors, axis)


@translates(*STACKS)
def stack(node: Node) -> Tensor:
    """Join tensors along the axis that the operator stands for."""
    tensors = _tensors(node)
    axis, least = STACKS[node.op]
    for tensor in tensors:
        if len(tensor.shape) < least:
            raise UnsupportedOpError(
                f"{node.op} {node.name!r}: its input {tensor.shape} has fewer than {least} axes. "
                "Use concatenate or stack."
            )
    return joined(node, tensors, axis)


def _tensors(node: Node) -> tuple[Tensor, ...]:
    count = node.attrs.integer("num_args", minimum=1)
    node.expect_inputs(count)
    tensors = tuple(node.tensor(index) for index in range(count))
    node.require_one_type(*tensors)
    return tensors
