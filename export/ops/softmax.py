"""softmax, log_softmax, softmin, SoftmaxActivation and SoftmaxOutput along one axis."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from export.ops._indices import whole_numbers
from export.ops.registry import translates
from export.ops.sequence import within_lengths

if TYPE_CHECKING:
    from export.graph.graph import Tensor
    from export.graph.node import Node


@translates("SoftmaxOutput")
def softmax_output(node: Node) -> Tensor:
    """Translate Module's last layer without its label, which `export.translate` leaves out."""
    node.expect_inputs(1)
    node.attrs.ignore("grad_scale", "ignore_label", "use_ignore", "normalization", "out_grad", "smooth_alpha")
    several = node.attrs.boolean("multi_output", default=False)
    each = node.attrs.boolean("preserve_shape", default=False)
    data = node.tensor()
    if len(data.row) > 1 and not (several or each):
        raise node.attrs.unsupported("multi_output", "False", "True or preserve_shape, as each image has several rows")
    axis = 1 if several or not each else len(data.row)
    return node.emit("Softmax", (data,), data.row, {"axis": axis})


@translates("SoftmaxActivation")
def softmax_activation(node: Node) -> Tensor:
    """Compute softmax along the last axis, or along the channels with ``mode=channel``.

    Mode ``instance`` flattens all axes but the last (``softmax_activation-inl.h``: FlatTo2D), so on images it is not a
    softmax of the whole image.
    """
    node.expect_inputs(1)
    mode = node.attrs.choice("mode", ("instance", "channel"), "instance")
    data = node.tensor()
    if mode == "channel" and len(data.row) < 2:
        raise node.malformed(f"its input is (N, {data.row[0]}); mode channel needs (N, C, ...)")
    return node.emit("Softmax", (data,), data.row, {"axis": 1 if mode == "channel" else len(data.row)})


ONNX_OPS = {"softmax": "Softmax", "log_softmax": "LogSoftmax", "softmin": "Softmax"}


@translates(*ONNX_OPS)
def softmax(node: Node) -> Tensor:
    """Compute softmax of ``data / temperature``, or of ``-data / temperature`` for softmin.

    With ``use_length``, only the first elements count. The rest is 0.
    """
    uses_length = node.op == "softmax" and node.attrs.boolean("use_length", default=False)
    node.expect_inputs(2 if uses_length else 1)
    node.attrs.choice("dtype", (str(node.inputs[0].dtype),), "None")
    axis = node.axis("axis", -1)
    temperature = node.attrs.real("temperature", 1.0)
    data = node.tensor()
    if node.op == "softmin":
        data = node.emit_like(data, "Neg", (data,), step="negative")
    if temperature != 1:
        number = node.number("temperature", temperature)
        data = node.emit_like(data, "Div", (data, number), step="tempered")
    if uses_length:
        return _over_length(node, data, axis)
    return node.emit_like(data, ONNX_OPS[node.op], (data,), {"axis": axis})


def _over_length(node: Node, data: Tensor, axis: int) -> Tensor:
    """Compute softmax over the number of elements that the second input gives for each row. A row of none is all 0."""
    shape = node.shape()
    if node.shape(1) != (*shape[:axis], *shape[axis + 1 :]) or node.inputs[1].dtype.kind not in "iu":
        raise node.malformed(
            f"its lengths are {node.inputs[1].dtype} {node.shape(1)}; expected integers for {shape} without axis {axis}"
        )
    inside = within_lengths(node, data, whole_numbers(node, 1, "lengths"), axis)
    least = node.constant("least", np.array(np.finfo(data.dtype).min, data.dtype))
    masked = node.emit_shaped("Where", (inside, data, least), data.shape, step="masked", dtype=data.dtype)
    shares = node.emit_like(data, "Softmax", (masked,), {"axis": axis}, step="shares")
    return node.emit_shaped("Where", (inside, shares, node.number("zero", 0)), data.shape, dtype=data.dtype)
