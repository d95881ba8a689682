"""L2Normalization: scale to unit Euclidean norm."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from export.graph.graph import FLOAT32
from export.ops.registry import translates

if TYPE_CHECKING:
    from export.graph.graph import Tensor
    from export.graph.node import Node


@translates("L2Normalization")
def l2_normalization(node: Node) -> Tensor:
    """Compute ``x / sqrt(sum of x^2 + eps)`` over the row, its channels or its positions. Zeros stay zero.

    The nodes compute in float32: float16 cannot represent 1e-10, and squares soon exceed its range.
    """
    node.expect_inputs(1)
    mode = node.attrs.choice("mode", ("instance", "channel", "spatial"), "instance")
    epsilon = node.constant("eps", np.array(node.attrs.real("eps", 1e-10), np.float32))
    given = data = node.tensor()
    if given.dtype != FLOAT32:
        data = node.graph.cast(given, FLOAT32, f"{node.name}/single")
    first, last = {"instance": (1, len(data.row)), "channel": (1, 1), "spatial": (2, len(data.row))}[mode]
    if mode != "instance" and len(data.row) < 2:
        raise node.malformed(f"its input is (N, {data.row[0]}); mode {mode} needs (N, C, ...)")
    reduced = (*data.row[: first - 1], *(1 for _ in range(first, last + 1)), *data.row[last:])
    axes = node.integers("axes", *range(first, last + 1))
    square = node.emit("Mul", (data, data), data.row, step="square")
    total = node.emit("ReduceSum", (square, axes), reduced, {"keepdims": 1}, step="sum")
    shifted = node.emit("Add", (total, epsilon), reduced, step="shifted")
    norm = node.emit("Sqrt", (shifted,), reduced, step="norm")
    if given.dtype == FLOAT32:
        return node.emit("Div", (data, norm), data.row)
    unit = node.emit("Div", (data, norm), data.row, step="unit")
    return node.graph.cast(unit, given.dtype, node.name)
