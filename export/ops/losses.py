"""Losses as the last layer: their outputs in inference, without the label, which `export.translate` leaves out."""

from __future__ import annotations

from typing import TYPE_CHECKING

from export.ops.registry import translates

if TYPE_CHECKING:
    from export.graph.graph import Tensor
    from export.graph.node import Node

# Losses whose output is their input -> attributes, which change only the gradient
UNCHANGED = {
    "LinearRegressionOutput": ("grad_scale",),
    "MAERegressionOutput": ("grad_scale",),
    "MakeLoss": ("grad_scale", "valid_thresh", "normalization"),
    "SVMOutput": ("margin", "regularization_coefficient", "use_linear"),
    "make_loss": (),
}


@translates(*UNCHANGED)
def unchanged(node: Node) -> Tensor:
    """Return the input."""
    node.expect_inputs(1)
    node.attrs.ignore(*UNCHANGED[node.op])
    return node.tensor()


@translates("LogisticRegressionOutput")
def logistic_regression(node: Node) -> Tensor:
    """Apply the logistic function."""
    node.expect_inputs(1)
    node.attrs.ignore("grad_scale")
    data = node.tensor()
    return node.emit_like(data, "Sigmoid", (data,))
