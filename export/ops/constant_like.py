"""ones_like, zeros_like: a tensor of one number, as large as another."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from export.libraries import onnx
from export.registry import translates

if TYPE_CHECKING:
    from export.graph import Tensor
    from export.node import Node

FILLS = {"ones_like": 1.0, "zeros_like": 0.0}


@translates(*FILLS)
def constant_like(node: Node) -> Tensor:
    """`export.passes.scalars` makes it a single number where the operator that takes it repeats numbers itself."""
    node.expect_inputs(1)
    data = node.tensor()
    value = onnx.numpy_helper.from_array(np.array([FILLS[node.op]], data.dtype), "value")
    shape = node.emit("Shape", (data,), (), step="shape", dtype=np.dtype(np.int64))
    return node.emit("ConstantOfShape", (shape,), data.row, {"value": value}, dtype=data.dtype)
