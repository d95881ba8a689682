"""LRN: local response normalisation across channels."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from export.registry import translates

if TYPE_CHECKING:
    from export.graph import Tensor
    from export.node import Node

# The matrix grows with the square of the channels. onnxruntime 1.31, 2 CPU cores, 32 x 192 x 56 x 56: LRN kernel
# 250 ms, matrix and roots 70 ms, matrix and Pow 101 ms; at 1024 channels there is nothing left to gain.
MAX_MATRIX_CHANNELS = 256


@translates("LRN")
def lrn(node: Node) -> Tensor:
    """``x * (knorm + alpha / nsize * sum of x^2 over nsize neighbouring channels) ** -beta``.

    The sum is a product with a banded matrix, hence a 1x1 convolution, whose bias is ``knorm``: in onnxruntime
    3.6 to 7 times as fast as its own LRN kernel.
    """
    node.expect_inputs(1)
    size = node.attrs.integer("nsize", minimum=1)
    if size % 2 == 0:
        raise node.attrs.unsupported("nsize", size, "an odd number")
    alpha, beta = node.attrs.real("alpha", 1e-4), node.attrs.real("beta", 0.75)
    knorm = node.attrs.real("knorm", 2.0)
    data, channels, _, _ = node.image()
    if channels > MAX_MATRIX_CHANNELS:
        attrs = {"size": size, "alpha": alpha, "beta": beta, "bias": knorm}
        return node.emit("LRN", (data,), data.row, attrs)
    matrix = node.constant("window", _band(channels, size // 2, alpha / size))
    bias = node.constant("knorm", np.full(channels, knorm, np.float32))
    square = node.emit("Mul", (data, data), data.row, step="square")
    energy = node.emit("Conv", (square, matrix, bias), data.row, {"kernel_shape": (1, 1)}, step="energy")
    return node.emit("Div", (data, _power(node, energy, beta)), data.row)


def _band(channels: int, radius: int, value: float) -> NDArray[np.float32]:
    """(C, C, 1, 1): ``value`` where two channels are at most ``radius`` apart."""
    index = np.arange(channels)
    near = np.abs(index[:, None] - index) <= radius
    return np.where(near, value, 0).astype(np.float32)[:, :, None, None]


def _power(node: Node, energy: Tensor, beta: float) -> Tensor:
    """``energy ** beta``; for 3/4, the usual one, by square roots, which are faster than Pow."""
    if beta != 0.75:
        exponent = node.constant("beta", np.array(beta, np.float32))
        return node.emit("Pow", (energy, exponent), energy.row, step="power")
    root = node.emit("Sqrt", (energy,), energy.row, step="root")
    fourth_root = node.emit("Sqrt", (root,), energy.row, step="fourth_root")
    return node.emit("Mul", (root, fourth_root), energy.row, step="power")
