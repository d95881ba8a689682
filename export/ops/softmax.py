"""softmax, log_softmax and SoftmaxOutput along one axis."""

from __future__ import annotations

from typing import TYPE_CHECKING

from export.ops.registry import translates

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


ONNX_OPS = {"softmax": "Softmax", "log_softmax": "LogSoftmax"}


@translates(*ONNX_OPS)
def softmax(node: Node) -> Tensor:
    """Compute softmax of ``data / temperature``."""
    if node.attrs.boolean("use_length", default=False):
        raise node.attrs.unsupported("use_length", "True", "False")
    node.expect_inputs(1)
    node.attrs.choice("dtype", ("float32",), "float32")
    axis = node.axis("axis", -1)
    temperature = node.attrs.real("temperature", 1.0)
    data = node.tensor()
    if temperature != 1:
        number = node.number("temperature", temperature)
        data = node.emit_like(data, "Div", (data, number), step="tempered")
    return node.emit_like(data, ONNX_OPS[node.op], (data,), {"axis": axis})
