"""Flatten: each image as one row of numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from export.graph.shape import product
from export.ops.registry import translates

if TYPE_CHECKING:
    from export.graph.graph import Tensor
    from export.graph.node import Node


@translates("Flatten")
def flatten(node: Node) -> Tensor:
    """Turn each image into one row of numbers."""
    node.expect_inputs(1)
    data = node.tensor()
    if len(data.shape) == 2:
        return data
    if not data.shape:
        raise node.malformed("its input is a number; expected at least one axis")
    return node.emit_shaped("Flatten", (data,), (data.shape[0], product(data.shape[1:])), {"axis": 1})
