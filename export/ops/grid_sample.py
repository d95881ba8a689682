"""GridGenerator, BilinearSampler, SpatialTransformer: read images at computed positions. ONNX needs opset 16."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from export.graph.graph import MAX_ROW_ELEMENTS
from export.ops.registry import translates

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from export.graph.graph import Tensor
    from export.graph.node import Node

SAMPLING = {"mode": "linear", "padding_mode": "zeros", "align_corners": 1}


@translates("BilinearSampler")
def bilinear_sampler(node: Node) -> Tensor:
    """Read images (N, C, H, W) at the positions of a grid (N, 2, ...), x and y from -1 to 1; beyond, they are 0."""
    node.expect_inputs(2)
    node.attrs.ignore("cudnn_off")
    data, channels, _, _ = node.image()
    grid = node.tensor(1)
    node.require_one_type(data, grid)
    if len(grid.row) != 3 or grid.row[0] != 2:
        raise node.malformed(f"its grid is (N, {', '.join(map(str, grid.row))}); expected (N, 2, H, W)")
    _, height, width = grid.row
    last = node.emit("Transpose", (grid,), (height, width, 2), {"perm": (0, 2, 3, 1)}, step="grid")
    return node.emit("GridSample", (data, last), (channels, height, width), SAMPLING)


@translates("GridGenerator")
def grid_generator(node: Node) -> Tensor:
    """Make a grid of an affine transformation (N, 6), or of a flow (N, 2, H, W) that moves every pixel."""
    node.expect_inputs(1)
    kind = node.attrs.choice("transform_type", ("affine", "warp"))
    target = node.attrs.integers("target_shape", 2, (0, 0))
    data = node.real_tensor()
    if kind == "affine":
        row = (2, *target)
        return node.emit("Reshape", (_affine(node, data, target), node.integers("shape", 0, *row)), row)
    if len(data.row) != 3 or data.row[0] != 2 or min(data.row[1:]) < 2:
        raise node.malformed(
            f"its flow is (N, {', '.join(map(str, data.row))}); expected (N, 2, H, W) of at least 2 px"
        )
    _, height, width = data.row
    half = np.array([(width - 1) / 2, (height - 1) / 2]).reshape(2, 1, 1)
    corner = node.constant("corner", _base((height, width))[:2].reshape(2, height, width).astype(data.dtype))
    moved = node.emit("Div", (data, node.constant("half", half.astype(data.dtype))), data.row, step="moved")
    return node.emit("Add", (moved, corner), data.row)


@translates("SpatialTransformer")
def spatial_transformer(node: Node) -> Tensor:
    """Read images at the positions of an affine transformation, the second input, (N, 6)."""
    node.expect_inputs(2)
    node.attrs.ignore("cudnn_off")
    node.attrs.choice("transform_type", ("affine",))
    node.attrs.choice("sampler_type", ("bilinear",))
    target = node.attrs.integers("target_shape", 2, (0, 0))
    data, channels, _, _ = node.image()
    node.require_one_type(data, node.tensor(1))
    flat = _affine(node, node.tensor(1), target)
    last = node.emit("Transpose", (flat,), (flat.row[1], 2), {"perm": (0, 2, 1)}, step="positions")
    grid = node.emit("Reshape", (last, node.integers("shape", 0, *target, 2)), (*target, 2), step="grid")
    return node.emit("GridSample", (data, grid), (channels, *target), SAMPLING)


def _affine(node: Node, matrix: Tensor, size: tuple[int, ...]) -> Tensor:
    """Return (N, 2, H W): the transformed positions of a grid of ``size`` from corner to corner."""
    if matrix.row != (6,):
        raise node.malformed(f"its transformation is (N, {', '.join(map(str, matrix.row))}); expected (N, 6)")
    if min(size) < 2:  # MXNet divides by the size minus 1
        raise node.attrs.unsupported("target_shape", size, "at least 2 x 2 px")
    if 3 * math.prod(size) > MAX_ROW_ELEMENTS:
        raise node.malformed(f"a grid of {size[0]} x {size[1]} px needs more than {MAX_ROW_ELEMENTS:,} numbers")
    rows = node.emit("Reshape", (matrix, node.integers("matrix_shape", 0, 2, 3)), (2, 3), step="matrix")
    base = node.constant("base", _base(size).astype(matrix.dtype))
    return node.emit("MatMul", (rows, base), (2, math.prod(size)), step="transformed")


def _base(size: tuple[int, ...]) -> NDArray[np.float64]:
    """Return (3, H W): x, y and 1 of each position, x and y from -1 to 1."""
    y, x = np.meshgrid(np.linspace(-1, 1, size[0]), np.linspace(-1, 1, size[1]), indexing="ij")
    return np.stack([x.ravel(), y.ravel(), np.ones(x.size)])
