"""ROIAlign, ROIPooling: regions of images at one size."""

from __future__ import annotations

from typing import TYPE_CHECKING

from export.errors import UnsupportedOpError
from export.graph.graph import BOOL, FLOAT32, INT64, ONNX_TYPES
from export.graph.shape import Batch
from export.ops.registry import translates
from export.ops.reshape import reshaped

if TYPE_CHECKING:
    from export.graph.graph import Tensor
    from export.graph.node import Node
    from export.graph.shape import BatchShape


@translates("_contrib_ROIAlign")
def roi_align(node: Node) -> Tensor:
    """Average bilinear samples in the parts of regions (image, left, top, right, bottom).

    Regions of a negative image give 0, as MXNet documents (its CPU kernel reads other memory). With ``aligned``, the
    centers of pixels are at halves (``roi_align.cc``), which ONNX has from opset 16 on.
    """
    data, regions, shape = _inputs(node)
    if node.attrs.boolean("position_sensitive", default=False):
        raise node.attrs.unsupported("position_sensitive", "True", "False")
    aligned = node.attrs.boolean("aligned", default=False)
    attrs = {
        "output_height": shape[2],
        "output_width": shape[3],
        "spatial_scale": node.attrs.real("spatial_scale"),
        "sampling_ratio": max(node.attrs.integer("sample_ratio", -1, minimum=-(2**31)), 0),
        "coordinate_transformation_mode": "half_pixel" if aligned else "output_half_pixel",
    }
    numbers = _columns(node, regions, 0, 1, "image")
    zero = node.number("zero", 0)
    ignored = node.emit_like(numbers, "Less", (numbers, zero), step="ignored", dtype=BOOL)
    images = node.emit_like(numbers, "Max", (numbers, zero), step="image_or_first")
    images = node.emit_like(images, "Cast", (images,), {"to": ONNX_TYPES[INT64]}, step="images", dtype=INT64)
    images = reshaped(node, regions.shape[:1], "images_flat", images)
    corners = _columns(node, regions, 1, 5, "corners")
    pooled = node.emit_shaped("RoiAlign", (data, corners, images), shape, attrs, step="aligned")
    ignored = reshaped(node, (*regions.shape[:1], 1, 1, 1), "ignored_regions", ignored)
    return node.emit_shaped("Where", (ignored, zero, pooled), shape, dtype=data.dtype)


@translates("ROIPooling")
def roi_pooling(node: Node) -> Tensor:
    """Take the largest pixels in the parts of regions (image, left, top, right, bottom), rounded to whole pixels."""
    data, regions, shape = _inputs(node)
    attrs = {"pooled_shape": list(shape[2:]), "spatial_scale": node.attrs.real("spatial_scale")}
    return node.emit_shaped("MaxRoiPool", (data, regions), shape, attrs)


def _inputs(node: Node) -> tuple[Tensor, Tensor, BatchShape]:
    """Return images, regions (regions, 5) and the shape of the output."""
    node.expect_inputs(2)
    data, channels, _, _ = node.image()
    regions = node.tensor(1)
    node.require_one_type(data, regions)
    if len(regions.shape) != 2 or regions.shape[1] != 5:
        raise node.malformed(f"its regions are {regions.shape}; expected (regions, 5)")
    if data.dtype != FLOAT32:
        raise UnsupportedOpError(
            f"{node.op} {node.name!r}: its images are {data.dtype}; onnxruntime takes float32 only. Cast them in the "
            "network."
        )
    if isinstance(data.shape[0], Batch) and not isinstance(regions.shape[0], Batch):
        raise node.malformed(
            f"its regions {regions.shape} select images of its input {data.shape}; expected a batch axis"
        )
    height, width = node.attrs.integers("pooled_size", 2, minimum=1)
    return data, regions, (regions.shape[0], channels, height, width)


def _columns(node: Node, regions: Tensor, start: int, stop: int, step: str) -> Tensor:
    bounds = (node.integers(f"{step}_{name}", value) for name, value in (("from", start), ("to", stop), ("axis", 1)))
    return node.emit_shaped("Slice", (regions, *bounds), (regions.shape[0], stop - start), step=step)
