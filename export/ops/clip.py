"""clip: limit values to a range."""

from __future__ import annotations

from typing import TYPE_CHECKING

from export.ops.registry import translates

if TYPE_CHECKING:
    from export.graph.graph import Tensor
    from export.graph.node import Node


@translates("clip")
def clip(node: Node) -> Tensor:
    """Limit values to ``a_min`` to ``a_max``."""
    node.expect_inputs(1)
    data = node.tensor()
    low, high = (node.number(name, node.attrs.real(name)) for name in ("a_min", "a_max"))
    return node.emit_like(data, "Clip", (data, low, high))
