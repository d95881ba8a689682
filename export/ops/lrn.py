"""LRN: local response normalization across channels."""

from __future__ import annotations

from typing import TYPE_CHECKING

from export.ops.registry import translates

if TYPE_CHECKING:
    from export.graph.graph import Tensor
    from export.graph.node import Node


@translates("LRN")
def lrn(node: Node) -> Tensor:
    """Compute ``x * (knorm + alpha / nsize * sum of x^2 over nsize neighboring channels) ** -beta``."""
    node.expect_inputs(1)
    size = node.attrs.integer("nsize", minimum=1)
    if size % 2 == 0:
        raise node.attrs.unsupported("nsize", size, "an odd number")
    alpha, beta = node.attrs.real("alpha", 1e-4), node.attrs.real("beta", 0.75)
    knorm = node.attrs.real("knorm", 2.0)
    data, *_ = node.image()
    return node.emit("LRN", (data,), data.row, {"size": size, "alpha": alpha, "beta": beta, "bias": knorm})
