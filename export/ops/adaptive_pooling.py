"""AdaptiveAvgPooling2D: averages over a grid of windows that together cover the image."""

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


@translates("_contrib_AdaptiveAvgPooling2D")
def adaptive_average(node: Node) -> Tensor:
    """Average over a grid of ``output_size`` windows. One number means a square. The default, 1, is the whole image.

    Notes
    -----
    Window i of n covers rows floor(i H / n) to ceil((i + 1) H / n) (``adaptive_avg_pooling.cc``). Where n does not
    divide H the windows differ in height, and the average is a product with a matrix: A X B^T.
    """
    node.expect_inputs(1)
    node.real_tensor()
    data, channels, height, width = node.image()
    sizes = node.attrs.integers("output_size", default=(1,), minimum=1)
    if len(sizes) > 2:
        raise node.attrs.unsupported("output_size", sizes, "one number or two")
    rows, columns = sizes[0], sizes[-1]
    row = (channels, rows, columns)
    if row == data.row:
        return data
    if (rows, columns) == (1, 1):
        return node.emit("GlobalAveragePool", (data,), row)
    if height % rows == 0 and width % columns == 0:
        kernel = (height // rows, width // columns)
        return node.emit("AveragePool", (data,), row, {"kernel_shape": kernel, "strides": kernel})
    if max(math.prod(row), rows * height, columns * width) > MAX_ROW_ELEMENTS:
        raise node.malformed(f"an output of {rows} x {columns} px needs more than {MAX_ROW_ELEMENTS:,} numbers")
    left = node.constant("rows", _windows(height, rows).astype(data.dtype))
    right = node.constant("columns", _windows(width, columns).T.astype(data.dtype))
    half = node.emit("MatMul", (left, data), (channels, rows, width), step="averaged_rows")
    return node.emit("MatMul", (half, right), row)


def _windows(size: int, count: int) -> NDArray[np.float32]:
    """Return (count, size): the weight of each pixel in each window."""
    matrix = np.zeros((count, size), np.float32)
    for index in range(count):
        start, stop = index * size // count, -(-(index + 1) * size // count)
        matrix[index, start:stop] = 1 / (stop - start)
    return matrix
