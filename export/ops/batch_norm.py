"""BatchNorm in inference: scale and shift by the running statistics."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from export.graph.graph import FLOAT32
from export.ops.registry import translates

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from export.graph.graph import Tensor
    from export.graph.node import Node


@translates("BatchNorm")
def batch_norm(node: Node) -> Tensor:
    """Compute ``(x - mean) / sqrt(var + eps) * gamma + beta``, with gamma = 1 if ``fix_gamma``, MXNet's default.

    The outputs that ``output_mean_var`` adds are refused where they are used.
    """
    node.expect_inputs(5)
    # inference always uses the global statistics
    node.attrs.ignore("momentum", "use_global_stats", "cudnn_off", "output_mean_var")
    axis = node.axis("axis", 1)
    epsilon = node.attrs.real("eps", 1e-3)
    data = node.tensor()
    channels = (node.length(axis),)
    # MXNet keeps these in float32 even if the images are float16 (`batch_norm.cc`: BatchNormType)
    gamma, beta, mean, variance = (node.parameter(index, channels, FLOAT32) for index in range(1, 5))
    if epsilon + float(variance.array.min()) <= 0:
        raise node.malformed(f"a variance in {variance.name!r} is negative, and batch norm takes its square root")
    if node.attrs.boolean("fix_gamma", default=True):
        gamma = node.constant("gamma", np.ones(channels, np.float32))
    if axis == 1:
        return node.emit("BatchNormalization", (data, gamma, beta, mean, variance), data.row, {"epsilon": epsilon})
    scale = gamma.array / np.sqrt(variance.array.astype(np.float64) + epsilon)
    return _along_axis(node, axis, scale, beta.array - mean.array * scale)


def _along_axis(node: Node, axis: int, scale: NDArray[np.float64], shift: NDArray[np.float64]) -> Tensor:
    """Compute ``scale * x + shift`` in float32 along an axis, as ONNX's batch norm knows only axis 1."""
    given = data = node.tensor()
    shape = (-1, *(1 for _ in data.row[axis:]))  # broadcasts (C,) along the axis
    factor = node.constant("scale", scale.reshape(shape).astype(np.float32))
    offset = node.constant("shift", shift.reshape(shape).astype(np.float32))
    if given.dtype != FLOAT32:
        data = node.graph.cast(given, FLOAT32, f"{node.name}/single")
    scaled = node.emit("Mul", (data, factor), data.row, step="scaled")
    if given.dtype == FLOAT32:
        return node.emit("Add", (scaled, offset), data.row)
    shifted = node.emit("Add", (scaled, offset), data.row, step="shifted")
    return node.graph.cast(shifted, given.dtype, node.name)
