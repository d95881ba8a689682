"""Pooling: maximum or average over windows or the whole image."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from export.ops._window import LAYOUTS, read_window
from export.ops.registry import translates

if TYPE_CHECKING:
    from export.graph.graph import Attributes, Tensor
    from export.graph.node import Node

Pair = tuple[int, int]  # vertical, horizontal; pixels


@dataclass(frozen=True)
class PoolWindows:
    """Windows of one pooling: ``pad`` on both sides, and ``extra`` more at the lower right for the last window."""

    kernel: tuple[int, ...]
    stride: tuple[int, ...]
    pad: Pair
    extra: Pair
    outputs: Pair

    @property
    def attrs(self) -> Attributes:
        """Attributes of ONNX's pooling operators."""
        ends = (self.pad[0] + self.extra[0], self.pad[1] + self.extra[1])
        return {"kernel_shape": self.kernel, "strides": self.stride, "pads": (*self.pad, *ends)}


@translates("Pooling")
def pooling(node: Node) -> Tensor:
    """Pool by maximum or average.

    Notes
    -----
    ``pooling_convention="full"`` rounds the output size up, so the last window may reach past the padding by
    ``extra`` pixels. What ONNX's ``ceil_mode`` means for such windows changed between opsets and runtimes; explicit
    padding at the lower right is the same in all of them.
    """
    node.expect_inputs(1)
    node.attrs.ignore("cudnn_off")
    node.attrs.choice("layout", LAYOUTS, "NCHW")
    kind = node.attrs.choice("pool_type", ("max", "avg"), "max")
    convention = node.attrs.choice("pooling_convention", ("valid", "full"), "valid")
    count_padding = node.attrs.boolean("count_include_pad", default=True)
    if node.attrs.boolean("global_pool", default=False):
        return _global_pooling(node, kind)
    windows = _windows(node, rounds_up=convention == "full")
    data, channels, _, _ = node.image()
    if kind == "avg":
        return _average(node, windows, count_padding=count_padding)
    return node.emit("MaxPool", (data,), (channels, *windows.outputs), windows.attrs)


def _global_pooling(node: Node, kind: str) -> Tensor:
    node.attrs.ignore("kernel", "stride", "pad")  # MXNet ignores them, too
    data, channels, _, _ = node.image()
    return node.emit("GlobalMaxPool" if kind == "max" else "GlobalAveragePool", (data,), (channels, 1, 1))


def _windows(node: Node, *, rounds_up: bool) -> PoolWindows:
    window = read_window(node)
    _, _, *size = node.image()
    steps, extra = [0, 0], [0, 0]
    for axis in (0, 1):
        spare, stride = window.spare(size[axis], axis), window.stride[axis]
        if spare < 0 or window.pad[axis] >= window.kernel[axis]:
            raise node.malformed(
                f"kernel {window.kernel} with padding {window.pad} does not fit {size[0]} x {size[1]} px"
            )
        steps[axis] = -(-spare // stride) if rounds_up else spare // stride
        extra[axis] = max(0, steps[axis] * stride - spare)
        if window.pad[axis] + extra[axis] >= window.kernel[axis]:
            # over an empty window, MXNet's maximum is -3.4e38 and its average 0
            expected = f"valid, as the last window covers none of the {size[0]} x {size[1]} px"
            raise node.attrs.unsupported("pooling_convention", "full", expected)
    return PoolWindows(
        kernel=window.kernel,
        stride=window.stride,
        pad=(window.pad[0], window.pad[1]),
        extra=(extra[0], extra[1]),
        outputs=(steps[0] + 1, steps[1] + 1),
    )


def _average(node: Node, windows: PoolWindows, *, count_padding: bool) -> Tensor:
    """Pool by average.

    Notes
    -----
    With ``count_include_pad``, MXNet divides by the part of the window within the padded image, without the ``extra``
    pixels (``nn/pool.h``: ``hend = min(hstart + kernel_h, height + pad_h)``). ONNX counts all padding or none, so the
    padding that counts becomes part of the image.
    """
    data, channels, height, width = node.image()
    if count_padding and any(windows.extra):
        top, left = windows.pad
        if top or left:
            pads = node.constant("pads", np.array([0, 0, top, left, 0, 0, top, left], np.int64))
            data = node.emit("Pad", (data, pads), (channels, height + 2 * top, width + 2 * left), step="pad")
        windows, count_padding = replace(windows, pad=(0, 0)), False
    attrs = windows.attrs | {"count_include_pad": int(count_padding)}
    return node.emit("AveragePool", (data,), (channels, *windows.outputs), attrs)
