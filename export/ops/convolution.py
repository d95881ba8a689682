"""Convolution along one to three axes, grouped or not."""

from __future__ import annotations

from typing import TYPE_CHECKING

from export.ops._window import pixels, positions, read_dilated_window
from export.ops.registry import translates

if TYPE_CHECKING:
    from export.graph.graph import Tensor
    from export.graph.node import Node


@translates("Convolution")
def convolution(node: Node) -> Tensor:
    """Convolve (N, C, W), (N, C, H, W) or (N, C, D, H, W) with ``num_filter`` filters in ``num_group`` groups."""
    node.attrs.ignore("workspace", "cudnn_tune", "cudnn_off")
    window = read_dilated_window(node)
    filters = node.attrs.integer("num_filter", minimum=1)
    groups = node.attrs.integer("num_group", 1, minimum=1)
    no_bias = node.attrs.boolean("no_bias", default=False)
    node.expect_inputs(2 if no_bias else 3)
    data, channels, size = positions(node, len(window.kernel))
    if channels % groups or filters % groups:
        raise node.malformed(f"its {channels} channels and {filters} filters cannot be divided into {groups} groups")
    spare = [window.spare(length, axis) for axis, length in enumerate(size)]
    if min(spare) < 0:
        raise node.malformed(
            f"kernel {window.kernel} is larger than its input of {pixels(size)} with padding {window.pad}"
        )
    weight = node.parameter(1, (filters, channels // groups, *window.kernel))
    bias = () if no_bias else (node.parameter(2, (filters,)),)
    row = (filters, *(rest // stride + 1 for rest, stride in zip(spare, window.stride, strict=True)))
    attrs = {
        "kernel_shape": window.kernel,
        "strides": window.stride,
        "pads": (*window.pad, *window.pad),
        "dilations": window.dilate,
        "group": groups,
    }
    return node.emit("Conv", (data, weight, *bias), row, attrs)
