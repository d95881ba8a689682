"""L2Normalization: rows of unit Euclidean norm."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from export.graph import FLOAT32
from export.registry import translates

if TYPE_CHECKING:
    from export.graph import Tensor
    from export.node import Node


@translates("L2Normalization")
def l2_normalization(node: Node) -> Tensor:
    """``x / sqrt(sum of x^2 over the row + eps)``: a row of zeros stays zero.

    In single precision: half has no 1e-10, and squares soon exceed it.
    """
    node.expect_inputs(1)
    node.attrs.choice("mode", ("instance",), "instance")
    epsilon = node.constant("eps", np.array(node.attrs.real("eps", 1e-10), np.float32))
    given = data = node.tensor()
    if given.dtype != FLOAT32:
        data = node.graph.cast(given, FLOAT32, f"{node.name}/single")
    one = (1,) * len(data.row)
    axes = node.constant("axes", np.arange(1, len(data.row) + 1, dtype=np.int64))
    square = node.emit("Mul", (data, data), data.row, step="square")
    total = node.emit("ReduceSum", (square, axes), one, {"keepdims": 1}, step="sum")
    shifted = node.emit("Add", (total, epsilon), one, step="shifted")
    norm = node.emit("Sqrt", (shifted,), one, step="norm")
    if given.dtype == FLOAT32:
        return node.emit("Div", (data, norm), data.row)
    unit = node.emit("Div", (data, norm), data.row, step="unit")
    return node.graph.cast(unit, given.dtype, node.name)
