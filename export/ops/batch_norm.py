"""BatchNorm in inference: scale and shift by the running statistics."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from export.graph.graph import FLOAT32
from export.ops.registry import translates

if TYPE_CHECKING:
    from export.graph.graph import Tensor
    from export.graph.node import Node


@translates("BatchNorm")
def batch_norm(node: Node) -> Tensor:
    """Compute ``(x - mean) / sqrt(var + eps) * gamma + beta``, with gamma = 1 if ``fix_gamma``, MXNet's default."""
    node.expect_inputs(5)
    node.attrs.ignore("momentum", "use_global_stats", "cudnn_off")  # inference always uses the global statistics
    axis = node.attrs.integer("axis", 1, minimum=-8)
    if axis != 1:
        raise node.attrs.unsupported("axis", axis, "1, NCHW")
    if node.attrs.boolean("output_mean_var", default=False):
        raise node.attrs.unsupported("output_mean_var", "True", "False")
    epsilon = node.attrs.real("eps", 1e-3)
    data = node.tensor()
    channels = (data.row[0],)
    # MXNet keeps these in float32 even if the images are float16 (`batch_norm.cc`: BatchNormType)
    gamma, beta, mean, variance = (node.parameter(index, channels, FLOAT32) for index in range(1, 5))
    if epsilon + float(variance.array.min()) <= 0:
        raise node.malformed(f"a variance in {variance.name!r} is negative, and batch norm takes its square root")
    if node.attrs.boolean("fix_gamma", default=True):
        gamma = node.constant("gamma", np.ones(channels, np.float32))
    return node.emit("BatchNormalization", (data, gamma, beta, mean, variance), data.row, {"epsilon": epsilon})
