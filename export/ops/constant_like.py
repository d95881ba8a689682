"""ones_like, zeros_like: a tensor of one number, as large as another."""

from __future__ import annotations

from typing import TYPE_CHECKING

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
    value = onnx.helper.make_tensor("value", onnx.TensorProto.FLOAT, [1], [FILLS[node.op]])
    shape = node.emit("Shape", (data,), (), step="shape")
    return node.emit("ConstantOfShape", (shape,), data.row, {"value": value})
