"""Operators that change nothing in inference and become no ONNX node."""

from __future__ import annotations

from typing import TYPE_CHECKING

from export.ops.registry import translates

if TYPE_CHECKING:
    from export.graph.graph import Tensor
    from export.graph.node import Node


@translates("_copy", "BlockGrad")
def identity(node: Node) -> Tensor:
    """Return the input."""
    node.expect_inputs(1)
    return node.tensor()


@translates("Dropout")
def dropout(node: Node) -> Tensor:
    """Remove dropout; refuse the mode that also drops in inference."""
    node.expect_inputs(1)
    node.attrs.ignore("p", "axes", "cudnn_off")
    node.attrs.choice("mode", ("training",), "training")
    return node.tensor()
