"""Losses as the last layer: their outputs in inference, without the label, which `export.translate` leaves out."""

from __future__ import annotations

from typing import TYPE_CHECKING

from export.ops.registry import translates

if TYPE_CHECKING:
    from export.graph.graph import Tensor
    from export.graph.node import Node


@translates("LinearRegressionOutput", "MAERegressionOutput")
def regression(node: Node) -> Tensor:
    """Return the input."""
    node.expect_inputs(1)
    node.attrs.ignore("grad_scale")
    return node.tensor()


@translates("LogisticRegressionOutput")
def logistic_regression(node: Node) -> Tensor:
    """Apply the logistic function."""
    node.expect_inputs(1)
    node.attrs.ignore("grad_scale")
    data = node.tensor()
    return node.emit("Sigmoid", (data,), data.row)


@translates("SVMOutput")
def support_vectors(node: Node) -> Tensor:
    """Return the input, the scores of the classes."""
    node.expect_inputs(1)
    node.attrs.ignore("margin", "regularization_coefficient", "use_linear")
    return node.tensor()


@translates("MakeLoss")
def make_loss(node: Node) -> Tensor:
    """Return the input, which already is a loss."""
    node.expect_inputs(1)
    node.attrs.ignore("grad_scale", "valid_thresh", "normalization")
    return node.tensor()
