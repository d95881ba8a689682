"""Pooling: maximum, average, sum or Euclidean norm over windows or the whole image."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from export.ops._window import LAYOUTS, pixels, positions, read_window
from export.ops.registry import translates

if TYPE_CHECKING:
    from export.graph.graph import Attributes, Tensor
    from export.graph.node import Node
    from export.graph.shape import Shape

KINDS = ("max", "avg", "sum", "lp")


@dataclass(frozen=True)
class PoolWindows:
    """Windows of one pooling: ``pad`` on both sides, and ``extra`` more at the lower right for the last window."""

    kernel: Shape
    stride: Shape
    pad: Shape
    extra: Shape
    outputs: Shape

    @property
    def attrs(self) -> Attributes:
        """Attributes of ONNX's pooling operators."""
        ends = (pad + extra for pad, extra in zip(self.pad, self.extra, strict=True))
        return {"kernel_shape": self.kernel, "strides": self.stride, "pads": (*self.pad, *ends)}


@translates("Pooling")
def pooling(node: Node) -> Tensor:
    """Pool along one to three axes.

    Notes
    -----
    ``pooling_convention="full"`` rounds the output size up, so the last window may reach past the padding by
    ``extra`` pixels. What ONNX's ``ceil_mode`` means for such windows changed between opsets and runtimes; explicit
    padding at the lower right is the same in all of them.
    """
    node.expect_inputs(1)
    node.attrs.ignore("cudnn_off")
    kind = _kind(node)
    convention = node.attrs.choice("pooling_convention", ("valid", "full"), "valid")
    count_padding = node.attrs.boolean("count_include_pad", default=True)
    if node.attrs.boolean("global_pool", default=False):
        return _global_pooling(node, kind)
    windows = _windows(node, rounds_up=convention == "full")
    if kind == "sum":
        return _sum(node, windows)
    if kind == "avg":
        return _average(node, windows, count_padding=count_padding)
    data = node.tensor()
    power = {"p": 2} if kind == "lp" else {}
    return node.emit("LpPool" if power else "MaxPool", (data,), (data.row[0], *windows.outputs), windows.attrs | power)


def _kind(node: Node) -> str:
    """Return max, avg, sum or lp, the Euclidean norm. With ``p_value=1``, lp adds, without absolute values (`pool.h`).

    ``p_value=3`` has no counterpart, as ONNX takes absolute values.
    """
    kind = node.attrs.choice("pool_type", KINDS, "max")
    if kind != "lp":
        node.attrs.ignore("p_value")
        return kind
    power = node.attrs.integer("p_value", minimum=1)
    if power > 2:
        raise node.attrs.unsupported("p_value", power, "1 or 2")
    return "sum" if power == 1 else "lp"


def _global_pooling(node: Node, kind: str) -> Tensor:
    node.attrs.ignore("kernel", "stride", "pad")  # MXNet ignores them too
    data = node.tensor()
    axes = len(data.row) - 1
    if axes not in LAYOUTS:
        raise node.malformed(f"its input is (N, {', '.join(map(str, data.row))}); expected (N, C, H, W)")
    node.attrs.choice("layout", (LAYOUTS[axes],), LAYOUTS[axes])
    row = (data.row[0], *(1 for _ in range(axes)))
    if reduction := {"sum": "ReduceSum", "lp": "ReduceL2"}.get(kind):
        return node.emit(reduction, (data, node.integers("axes", *range(2, axes + 2))), row, {"keepdims": 1})
    return node.emit("GlobalMaxPool" if kind == "max" else "GlobalAveragePool", (data,), row)


def _windows(node: Node, *, rounds_up: bool) -> PoolWindows:
    window = read_window(node)
    _, _, size = positions(node, len(window.kernel))
    steps, extra = [0] * len(size), [0] * len(size)
    for axis, length in enumerate(size):
        spare, stride = window.spare(length, axis), window.stride[axis]
        if spare < 0 or window.pad[axis] >= window.kernel[axis]:
            raise node.malformed(f"kernel {window.kernel} with padding {window.pad} does not fit {pixels(size)}")
        steps[axis] = -(-spare // stride) if rounds_up else spare // stride
        extra[axis] = max(0, steps[axis] * stride - spare)
        if window.pad[axis] + extra[axis] >= window.kernel[axis]:
            # over an empty window, MXNet's maximum is -3.4e38 and its average 0
            expected = f"valid, as the last window covers none of the {pixels(size)}"
            raise node.attrs.unsupported("pooling_convention", "full", expected)
    return PoolWindows(
        kernel=window.kernel,
        stride=window.stride,
        pad=window.pad,
        extra=tuple(extra),
        outputs=tuple(step + 1 for step in steps),
    )


def _average(node: Node, windows: PoolWindows, *, count_padding: bool) -> Tensor:
    """Pool by average.

    Notes
    -----
    With ``count_include_pad``, MXNet divides by the part of the window within the padded image, without the ``extra``
    pixels (``nn/pool.h``: ``hend = min(hstart + kernel_h, height + pad_h)``). ONNX counts all padding or none, so the
    padding that counts becomes part of the image.
    """
    data = node.tensor()
    channels, *size = data.row
    if count_padding and any(windows.extra):
        if any(windows.pad):
            pads = node.integers("pads", 0, 0, *windows.pad, 0, 0, *windows.pad)
            padded = (length + 2 * pad for length, pad in zip(size, windows.pad, strict=True))
            data = node.emit("Pad", (data, pads), (channels, *padded), step="pad")
        windows, count_padding = replace(windows, pad=(0,) * len(size)), False
    attrs = windows.attrs | {"count_include_pad": int(count_padding)}
    return node.emit("AveragePool", (data,), (channels, *windows.outputs), attrs)


def _sum(node: Node, windows: PoolWindows) -> Tensor:
    """Pool by sum: the average of the window with its padding, times the size of the window."""
    data = node.tensor()
    row = (data.row[0], *windows.outputs)
    average = node.emit("AveragePool", (data,), row, windows.attrs | {"count_include_pad": 1}, step="average")
    return node.emit("Mul", (average, node.number("size", math.prod(windows.kernel))), row)
