"""ones_like, zeros_like, broadcast_like: a tensor of another tensor's shape."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from export.libraries import onnx
from export.ops.registry import translates

if TYPE_CHECKING:
    from export.graph.graph import Tensor
    from export.graph.node import Node

FILLS = {"ones_like": 1.0, "zeros_like": 0.0}


@translates(*FILLS)
def constant_like(node: Node) -> Tensor:
    """Fill a tensor; `export.passes.remove_expand` makes it a scalar where the operator that takes it broadcasts."""
    node.expect_inputs(1)
    data = node.tensor()
    value = onnx.numpy_helper.from_array(np.array([FILLS[node.op]], data.dtype), "value")
    shape = node.emit("Shape", (data,), (), step="shape", dtype=np.dtype(np.int64))
    return node.emit("ConstantOfShape", (shape,), data.row, {"value": value}, dtype=data.dtype)


@translates("broadcast_like")
def broadcast_like(node: Node) -> Tensor:
    """Repeat axes of length 1 until the shape is that of the second input."""
    node.expect_inputs(2)
    for name in ("lhs_axes", "rhs_axes"):
        node.attrs.choice(name, ("all",), "all")
    data, other = node.tensor(0), node.tensor(1)
    if len(data.row) != len(other.row) or any(a not in (1, b) for a, b in zip(data.row, other.row, strict=True)):
        raise node.malformed(f"its input {data.row} cannot be broadcast to {other.row}")
    if data.row == other.row:
        return data
    return node.emit("Expand", (data, node.integers("shape", 1, *other.row)), other.row)
