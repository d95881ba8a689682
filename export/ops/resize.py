"""UpSampling, BilinearResize2D: change the size of images."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from export.graph.graph import NOTHING
from export.ops.registry import translates

if TYPE_CHECKING:
    from export.graph.graph import Tensor
    from export.graph.node import Node


@translates("UpSampling")
def up_sampling(node: Node) -> Tensor:
    """Enlarge images ``scale`` times: each pixel becomes a square, or ``bilinear`` with a weight per channel."""
    kind = node.attrs.choice("sample_type", ("nearest", "bilinear"))
    scale = node.attrs.integer("scale", minimum=1)
    count = node.attrs.integer("num_args", 1, minimum=1)
    node.expect_inputs(count)
    node.attrs.ignore("num_filter", "workspace")  # num_filter is the number of channels (``upsampling.cc``)
    joined = node.attrs.choice("multi_input_mode", ("concat", "sum"), "concat")
    _, channels, height, width = node.image()
    if kind == "bilinear":
        return _bilinear_up_sampling(node, scale)
    size = (height * scale, width * scale)
    if count == 1:
        return _nearest(node, 0, size)
    tensors = tuple(_nearest(node, index, size, step=f"input{index}") for index in range(count))
    node.require_one_type(*tensors)
    rows = [tensor.row for tensor in tensors]
    if joined == "concat":
        return node.emit("Concat", tensors, (sum(row[0] for row in rows), *size), {"axis": 1})
    if len(set(rows)) > 1:
        raise node.malformed(
            f"its inputs have {sorted({row[0] for row in rows})!s:.60} channels; expected equal numbers"
        )
    return node.emit("Sum", tensors, (channels, *size))


def _nearest(node: Node, index: int, size: tuple[int, int], step: str = "") -> Tensor:
    """Repeat the pixels of one input until the image has ``size``, which must be the same multiple of both sides."""
    data = node.tensor(index)
    scale = size[0] // data.row[-2] if len(data.row) == 3 else 0
    if not scale or tuple(length * scale for length in data.row[1:]) != size:
        raise node.malformed(
            f"its input {index} is {data.row}, and {size[0]} x {size[1]} px is not a multiple of that size"
        )
    if data.row[1:] == size and step:
        return data
    attrs = {"mode": "nearest", "coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"}
    return _resized(node, data, (data.row[0], *size), attrs, step)


def _bilinear_up_sampling(node: Node, scale: int) -> Tensor:
    """Apply a transposed convolution to each channel separately (``upsampling-inl.h``: GetDeconvolutionParam)."""
    node.expect_inputs(2)
    data, channels, height, width = node.image()
    kernel = (2 * scale - scale % 2,) * 2
    attrs = {
        "kernel_shape": kernel,
        "strides": (scale, scale),
        "pads": (scale // 2,) * 4,
        "dilations": (1, 1),
        "group": channels,
    }
    weight = node.parameter(1, (channels, 1, *kernel))
    return node.emit("ConvTranspose", (data, weight), (channels, height * scale, width * scale), attrs)


@translates("_contrib_BilinearResize2D")
def bilinear_resize(node: Node) -> Tensor:
    """Resize images with bilinear interpolation.

    Notes
    -----
    The size is ``height`` x ``width``, or the input's size times ``scale_height`` and ``scale_width``, rounded down. In
    mode ``like``, it is the size of the second input.

    With ``align_corners``, the default, the corner pixels of both images coincide; without it the images' edges do
    (``bilinear_resize-inl.h``).
    """
    like = node.attrs.choice("mode", ("size", "like"), "size") == "like"
    node.expect_inputs(2 if like else 1)
    data, channels, _, _ = node.image()
    rows, columns = _like(node) if like else _size(node)
    corners = node.attrs.boolean("align_corners", default=True)
    if (rows, columns) == data.row[1:]:
        return data
    transformation = "align_corners" if corners else "pytorch_half_pixel"  # an output of one pixel is the first pixel
    attrs = {"mode": "linear", "coordinate_transformation_mode": transformation}
    return _resized(node, data, (channels, rows, columns), attrs)


def _like(node: Node) -> tuple[int, int]:
    node.attrs.ignore("height", "width", "scale_height", "scale_width")
    other = node.tensor(1)
    if len(other.row) != 3:
        raise node.malformed(f"its second input is (N, {', '.join(map(str, other.row))}); expected (N, C, H, W)")
    return other.row[1], other.row[2]


def _size(node: Node) -> tuple[int, int]:
    _, _, height, width = node.image()
    sizes = []
    for name, size in (("height", height), ("width", width)):
        given = node.attrs.integer(name, 1, minimum=1)
        factor = node.attrs.real(f"scale_{name}", 0.0)
        sizes.append(int(size * factor) if factor else given)
    return sizes[0], sizes[1]


def _resized(node: Node, data: Tensor, row: tuple[int, int, int], attrs: dict[str, str], step: str = "") -> Tensor:
    """Resize by factors, as ONNX takes a size only with N. `_factor` makes sure that the size is exact."""
    _, height, width = data.row
    factors = np.array([1, 1, _factor(height, row[1]), _factor(width, row[2])], np.float32)
    scales = node.constant(f"{step}/scales" if step else "scales", factors)
    return node.emit("Resize", (data, NOTHING, scales), row, dict(attrs), step=step)


def _factor(size: int, wanted: int) -> np.float32:
    """Return a factor that is not too small: runtimes round ``size * factor`` down, in float32 or float64."""
    factor = np.float32(wanted / size)
    return factor if size * float(factor) >= wanted else np.nextafter(factor, np.float32(np.inf))
