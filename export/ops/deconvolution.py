"""Deconvolution: transposed convolution, which makes images larger."""

from __future__ import annotations

from typing import TYPE_CHECKING

from export.ops._window import LAYOUTS, read_window
from export.ops.registry import translates

if TYPE_CHECKING:
    from export.graph.graph import Tensor
    from export.graph.node import Node


@translates("Deconvolution")
def deconvolution(node: Node) -> Tensor:
    """Apply a transposed convolution and add ``adj`` rows and columns to its output.

    Unlike Convolution, it has no bias by default (``deconvolution-inl.h``).
    """
    node.attrs.ignore("workspace", "cudnn_tune", "cudnn_off")
    node.attrs.choice("layout", LAYOUTS, "NCHW")
    node.attrs.choice("target_shape", ("()", "[]", "(0, 0)", "(0,0)"), "()")  # it would change pad and adj
    window = read_window(node)
    dilate = node.attrs.integers("dilate", 2, (1, 1), minimum=1)
    adjust = node.attrs.integers("adj", 2, (0, 0))
    filters, groups = node.attrs.integer("num_filter", minimum=1), node.attrs.integer("num_group", 1, minimum=1)
    biased = not node.attrs.boolean("no_bias", default=True)
    node.expect_inputs(3 if biased else 2)
    data, channels, *size = node.image()
    if channels % groups or filters % groups:
        raise node.malformed(f"{channels} channels and {filters} filters do not divide into {groups} groups")
    if any(extra >= step for extra, step in zip(adjust, window.stride, strict=True)):
        raise node.malformed(f"adj {adjust} is not below the stride {window.stride}")
    row = [filters]
    for axis in (0, 1):
        covered = window.stride[axis] * (size[axis] - 1) + dilate[axis] * (window.kernel[axis] - 1) + 1
        row.append(covered - 2 * window.pad[axis] + adjust[axis])
    if min(row) < 1:
        raise node.malformed(f"padding {window.pad} leaves no pixels of the output")
    inputs = (data, node.parameter(1, (channels, filters // groups, *window.kernel)))
    bias = (node.parameter(2, (filters,)),) if biased else ()
    attrs = {
        "kernel_shape": window.kernel,
        "strides": window.stride,
        "pads": (*window.pad, *window.pad),
        "dilations": dilate,
        "output_padding": adjust,
        "group": groups,
    }
    return node.emit("ConvTranspose", (*inputs, *bias), tuple(row), attrs)
