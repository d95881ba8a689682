"""Deconvolution: transposed convolution, which enlarges images."""

from __future__ import annotations

from typing import TYPE_CHECKING

from export.ops._window import pixels, positions, read_dilated_window
from export.ops.registry import translates

if TYPE_CHECKING:
    from export.graph.graph import Tensor
    from export.graph.node import Node
    from export.graph.shape import Shape
    from export.ops._window import Window


@translates("Deconvolution")
def deconvolution(node: Node) -> Tensor:
    """Apply a transposed convolution, then remove ``pad`` on both sides and add ``adj`` at the lower right.

    Unlike Convolution, it has no bias by default (``deconvolution-inl.h``).
    """
    node.attrs.ignore("workspace", "cudnn_tune", "cudnn_off")
    window = read_dilated_window(node)
    filters, groups = node.attrs.integer("num_filter", minimum=1), node.attrs.integer("num_group", 1, minimum=1)
    biased = not node.attrs.boolean("no_bias", default=True)
    node.expect_inputs(3 if biased else 2)
    data, channels, size = positions(node, len(window.kernel))
    if channels % groups or filters % groups:
        raise node.malformed(f"its {channels} channels and {filters} filters cannot be divided into {groups} groups")
    full = tuple(window.stride[axis] * (length - 1) + window.covered(axis) for axis, length in enumerate(size))
    pad, adjust = _frame(node, window, full)
    if any(extra >= step for extra, step in zip(adjust, window.stride, strict=True)):
        raise node.malformed(f"adj {adjust} must be less than the stride {window.stride}")
    lengths = [length - 2 * cut + extra for length, cut, extra in zip(full, pad, adjust, strict=True)]
    if min(lengths) < 1:
        raise node.malformed(f"padding {pad} leaves no pixels of the output")
    inputs = (data, node.parameter(1, (channels, filters // groups, *window.kernel)))
    bias = (node.parameter(2, (filters,)),) if biased else ()
    attrs = {
        "kernel_shape": window.kernel,
        "strides": window.stride,
        "pads": (*pad, *pad),
        "dilations": window.dilate,
        "output_padding": adjust,
        "group": groups,
    }
    return node.emit("ConvTranspose", (*inputs, *bias), (filters, *lengths), attrs)


def _frame(node: Node, window: Window, full: Shape) -> tuple[Shape, Shape]:
    """Return the lengths to remove on both sides, and to add at the lower right.

    A ``target_shape`` replaces ``pad`` and ``adj``: the output is cropped to it evenly, with one more row or column
    removed at the upper left if the difference is odd (``deconvolution-inl.h``: InferPad). MXNet's CPU kernel needs
    the matching ``pad`` attribute too, and computes nonsense with some others.
    """
    adjust = node.attrs.integers("adj", len(full), (0,) * len(full))
    target = node.attrs.integers("target_shape", len(full), (0,) * len(full))
    if not any(target):
        return window.pad, adjust
    frame = [length - wanted for length, wanted in zip(full, target, strict=True)]
    if min(frame) < 0:
        raise node.malformed(f"target_shape {target} is larger than the output of {pixels(full)}")
    pad = tuple((cut + 1) // 2 for cut in frame)
    if any(window.pad) and window.pad != pad:
        raise node.attrs.unsupported("pad", window.pad, f"{pad}, which gives the target_shape {target}")
    return pad, tuple(cut % 2 for cut in frame)
