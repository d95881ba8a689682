"""Convolution in two dimensions, grouped or not."""

from __future__ import annotations

from typing import TYPE_CHECKING

from export.ops._window import LAYOUTS, read_window
from export.ops.registry import translates

if TYPE_CHECKING:
    from export.graph.graph import Tensor
    from export.graph.node import Node


@translates("Convolution")
def convolution(node: Node) -> Tensor:
    """Convolve images (N, C, H, W) with ``num_filter`` filters in ``num_group`` groups."""
    node.attrs.ignore("workspace", "cudnn_tune", "cudnn_off")
    node.attrs.choice("layout", LAYOUTS, "NCHW")
    window = read_window(node)
    dilate = node.attrs.integers("dilate", 2, (1, 1), minimum=1)
    filters = node.attrs.integer("num_filter", minimum=1)
    groups = node.attrs.integer("num_group", 1, minimum=1)
    no_bias = node.attrs.boolean("no_bias", default=False)
    node.expect_inputs(2 if no_bias else 3)
    data, channels, *size = node.image()
    if channels % groups or filters % groups:
        raise node.malformed(f"{channels} channels to {filters} do not divide into {groups} groups")
    spare = [window.spare(size[axis], axis, dilate[axis]) for axis in (0, 1)]
    if min(spare) < 0:
        raise node.malformed(
            f"kernel {window.kernel} does not fit into {size[0]} x {size[1]} px with padding {window.pad}"
        )
    weight = node.parameter(1, (filters, channels // groups, *window.kernel))
    bias = () if no_bias else (node.parameter(2, (filters,)),)
    row = (filters, *(spare[axis] // window.stride[axis] + 1 for axis in (0, 1)))
    attrs = {
        "kernel_shape": window.kernel,
        "strides": window.stride,
        "pads": (*window.pad, *window.pad),
        "dilations": dilate,
        "group": groups,
    }
    return node.emit("Conv", (data, weight, *bias), row, attrs)
