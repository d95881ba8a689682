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
    """Turn each pixel into a square of ``scale`` x ``scale``."""
    node.attrs.choice("sample_type", ("nearest",))
    count = node.attrs.integer("num_args", 1)
    if count != 1:
        raise node.attrs.unsupported("num_args", count, "1")
    node.expect_inputs(1)
    node.attrs.ignore("num_filter", "workspace", "multi_input_mode")
    scale = node.attrs.integer("scale", minimum=1)
    _, channels, height, width = node.image()
    attrs = {"mode": "nearest", "coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"}
    return _resized(node, (channels, height * scale, width * scale), attrs)


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
    return _resized(
        node, (channels, rows, columns), {"mode": "linear", "coordinate_transformation_mode": transformation}
    )


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


def _resized(node: Node, row: tuple[int, int, int], attrs: dict[str, str]) -> Tensor:
    """Resize by factors, as ONNX takes a size only with N; `_factor` makes sure that the size is exact."""
    data, _, height, width = node.image()
    scales = node.constant("scales", np.array([1, 1, _factor(height, row[1]), _factor(width, row[2])], np.float32))
    return node.emit("Resize", (data, NOTHING, scales), row, dict(attrs))


def _factor(size: int, wanted: int) -> np.float32:
    """Return a factor that is not too small: runtimes round ``size * factor`` down, in float32 or float64."""
    factor = np.float32(wanted / size)
    return factor if size * float(factor) >= wanted else np.nextafter(factor, np.float32(np.inf))
