"""LeakyReLU: activations that do not cut negative values off entirely."""

from __future__ import annotations

from typing import TYPE_CHECKING

from export.graph.graph import Constant
from export.ops.registry import translates

if TYPE_CHECKING:
    from export.graph.graph import Tensor
    from export.graph.node import Node

KINDS = ("leaky", "prelu", "elu", "selu", "gelu")
SQRT_HALF = 0.5**0.5


@translates("LeakyReLU")
def leaky_relu(node: Node) -> Tensor:
    """Apply ``act_type``. Only ``leaky`` and ``elu`` take ``slope``, by default 0.25. ``prelu`` learns its own."""
    kind = node.attrs.choice("act_type", KINDS, "leaky")
    node.attrs.ignore("lower_bound", "upper_bound")  # they belong to rrelu
    slope = node.attrs.real("slope", 0.25)
    node.expect_inputs(2 if kind == "prelu" else 1)
    data = node.tensor()
    if kind == "leaky":
        return node.emit_like(data, "LeakyRelu", (data,), {"alpha": slope})
    if kind == "elu":
        return node.emit_like(data, "Elu", (data,), {"alpha": slope})
    if kind == "selu":
        return node.emit_like(data, "Selu", (data,))
    return _prelu(node, data) if kind == "prelu" else _gelu(node, data)


def _prelu(node: Node, data: Tensor) -> Tensor:
    """Multiply negative values by a slope per channel, or by one for all channels, which is Gluon's default."""
    slope = node.inputs[1]
    shared = isinstance(slope, Constant) and slope.array.shape == (1,)
    gamma = node.parameter(1, (1,) if shared else data.row[:1]).array
    slopes = node.constant("slope", gamma.reshape(-1, *(1 for _ in data.shape[2:])))  # (C,) -> (C, 1, 1)
    return node.emit_like(data, "PRelu", (data, slopes))


def _gelu(node: Node, data: Tensor) -> Tensor:
    """Compute x (1 + erf(x / sqrt 2)) / 2 (``mshadow_op.h``: gelu), as ONNX has Gelu only from opset 20."""
    root, unit, half = (
        node.number(name, number) for name, number in (("sqrt_half", SQRT_HALF), ("one", 1.0), ("half", 0.5))
    )
    scaled = node.emit_like(data, "Mul", (data, root), step="scaled")
    error = node.emit_like(data, "Erf", (scaled,), step="erf")
    share = node.emit_like(data, "Add", (error, unit), step="share")
    both = node.emit_like(data, "Mul", (data, share), step="both")
    return node.emit_like(data, "Mul", (both, half))
