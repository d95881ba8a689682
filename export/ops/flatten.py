"""Flatten: (N, ...) -> (N, product)."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from export.ops.registry import translates

if TYPE_CHECKING:
    from export.graph.graph import Tensor
    from export.graph.node import Node


@translates("Flatten")
def flatten(node: Node) -> Tensor:
    """Turn each image into one row of numbers."""
    node.expect_inputs(1)
    data = node.tensor()
    if len(data.row) == 1:
        return data
    return node.emit("Flatten", (data,), (math.prod(data.row),), {"axis": 1})
