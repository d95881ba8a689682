"""Cast, amp_cast, amp_multicast: between types."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from export.graph.graph import Constant
from export.ops.registry import translates

if TYPE_CHECKING:
    from export.graph.graph import Operand
    from export.graph.node import Node


TYPES = {
    "amp_cast": ("float32", "float16"),
    "Cast": ("float32", "float16", "float64", "int32", "int64", "int8", "uint8", "bool"),
}


@translates(*TYPES)
def cast(node: Node) -> Operand:
    """Cast a tensor when the model runs, a parameter when it is exported. Fractions are cut off."""
    node.expect_inputs(1)
    wanted = np.dtype(node.attrs.choice("dtype", TYPES[node.op]))
    return cast_input(node, 0, wanted)


@translates("amp_multicast")
def multicast(node: Node) -> tuple[Operand, ...]:
    """Cast all inputs to the widest type among them, or to the narrowest with ``cast_narrow`` (``amp_cast.h``)."""
    count = node.attrs.integer("num_outputs", minimum=1)
    node.expect_inputs(count)
    dtypes = {operand.dtype for operand in node.inputs}
    narrow = node.attrs.boolean("cast_narrow", default=False)
    wanted = (min if narrow else max)(dtypes, key=lambda dtype: dtype.itemsize)
    return tuple(cast_input(node, index, wanted, step=str(index)) for index in range(count))


def cast_input(node: Node, index: int, wanted: np.dtype[Any], step: str = "") -> Operand:
    """Cast an input when the model runs, or a parameter when it is exported."""
    operand, name = node.inputs[index], f"{node.name}/{step}" if step else node.name
    if operand.dtype == wanted:
        return operand
    if isinstance(operand, Constant):
        with np.errstate(over="ignore", invalid="ignore"):  # as in MXNet, numbers beyond float16 become infinite
            return node.graph.constant(name, operand.array.astype(wanted))
    return node.graph.cast(operand, wanted, name)
