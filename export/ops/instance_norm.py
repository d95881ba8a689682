"""InstanceNorm, GroupNorm, LayerNorm: normalize within each image."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from export.ops.registry import translates

if TYPE_CHECKING:
    from export.graph.graph import Tensor
    from export.graph.node import Node


@translates("InstanceNorm")
def instance_norm(node: Node) -> Tensor:
    """Normalize each channel of each image over its positions, then compute ``gamma x + beta``."""
    node.expect_inputs(3)
    epsilon = node.attrs.real("eps", 1e-3)
    data = node.tensor()
    if len(data.row) < 2:
        raise node.malformed(f"its input is (N, {data.row[0]}); expected (N, C, ...)")
    gamma, beta = (node.parameter(index, data.row[:1]) for index in (1, 2))
    return node.emit("InstanceNormalization", (data, gamma, beta), data.row, {"epsilon": epsilon})


@translates("GroupNorm")
def group_norm(node: Node) -> Tensor:
    """Normalize each of ``num_groups`` groups of channels, by default one, over its channels and positions.

    In MXNet 1.9.1, gamma and beta hold one number per group, not per channel (``group_norm.cc``: GroupNormShape).
    """
    node.expect_inputs(3)
    node.attrs.ignore("output_mean_var")  # the outputs that it adds are refused where they are used
    groups = node.attrs.integer("num_groups", 1, minimum=1)
    epsilon = node.attrs.real("eps", 1e-5)
    data = node.tensor()
    if len(data.row) < 2 or data.row[0] % groups:
        raise node.malformed(f"its input {data.row} is not (C, ...) with channels that divide into {groups} groups")
    gamma, beta = (node.parameter(index, (groups,)) for index in (1, 2))
    row = (groups, math.prod(data.row) // groups)
    grouped = node.emit("Reshape", (data, node.integers("grouped_shape", 0, *row)), row, step="grouped")
    normalized = node.emit(
        "InstanceNormalization", (grouped, gamma, beta), row, {"epsilon": epsilon}, step="normalized"
    )
    return node.emit("Reshape", (normalized, node.integers("shape", 0, *data.row)), data.row)


@translates("LayerNorm")
def layer_norm(node: Node) -> Tensor:
    """Compute ``(x - mean) / sqrt(variance + eps) * gamma + beta``. ONNX has LayerNormalization only from opset 17."""
    node.expect_inputs(3)
    node.attrs.ignore("output_mean_var")  # the outputs that it adds are refused where they are used
    axis = node.axis("axis", -1)
    epsilon = node.number("eps", node.attrs.real("eps", 1e-5))
    data = node.tensor()
    length = (node.length(axis),)
    shape = (*length, *(1 for _ in data.shape[axis + 1 :]))  # broadcasts (C,) along the axis
    gamma, beta = (
        node.constant(name, node.parameter(index, length).array.reshape(shape))
        for index, name in ((1, "gamma"), (2, "beta"))
    )
    reduced = (*data.shape[:axis], 1, *data.shape[axis + 1 :])
    axes = node.integers("axes", axis)
    mean = node.emit_shaped("ReduceMean", (data, axes), reduced, {"keepdims": 1}, step="mean")
    centered = node.emit_like(data, "Sub", (data, mean), step="centered")
    square = node.emit_like(data, "Mul", (centered, centered), step="square")
    variance = node.emit_shaped("ReduceMean", (square, axes), reduced, {"keepdims": 1}, step="variance")
    shifted = node.emit_like(variance, "Add", (variance, epsilon), step="shifted")
    deviation = node.emit_like(variance, "Sqrt", (shifted,), step="deviation")
    unit = node.emit_like(data, "Div", (centered, deviation), step="unit")
    scaled = node.emit_like(data, "Mul", (unit, gamma), step="scaled")
    return node.emit_like(data, "Add", (scaled, beta))
