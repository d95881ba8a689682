"""softmax and its logarithm along one axis."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from export.registry import translates

if TYPE_CHECKING:
    from export.graph import Tensor
    from export.node import Node

ONNX_OPS = {"softmax": "Softmax", "log_softmax": "LogSoftmax"}


@translates(*ONNX_OPS)
def softmax(node: Node) -> Tensor:
    """Of ``data / temperature``."""
    if node.attrs.boolean("use_length", False):
        raise node.attrs.unsupported("use_length", True, "False")
    node.expect_inputs(1)
    node.attrs.choice("dtype", ("float32",), "float32")
    axis = node.axis("axis", -1)
    temperature = node.attrs.real("temperature", 1.0)
    data = node.tensor()
    if temperature != 1:
        number = node.constant("temperature", np.array(temperature, np.float32))
        data = node.emit("Div", (data, number), data.row, step="tempered")
    return node.emit(ONNX_OPS[node.op], (data,), data.row, {"axis": axis})
