"""Pad: add a border, constant, repeated from the edge, or mirrored."""

from __future__ import annotations

from typing import TYPE_CHECKING

from export.graph.shape import Batch
from export.ops.registry import translates

if TYPE_CHECKING:
    from export.graph.graph import Operand, Tensor
    from export.graph.node import Node
    from export.graph.shape import Size

MODES = ("constant", "edge", "reflect")


@translates("Pad")
def pad(node: Node) -> Tensor:
    """Pad by ``pad_width``: (before, after) for each axis in turn. ONNX takes all befores first, then all afters."""
    node.expect_inputs(1)
    data = node.tensor()
    axes = len(data.row) + 1
    widths = node.attrs.integers("pad_width", 2 * axes)
    mode = node.attrs.choice("mode", MODES)
    value = node.attrs.real("constant_value", 0.0)
    before, after = widths[::2], widths[1::2]
    if before[0] or after[0]:
        raise node.attrs.unsupported("pad_width", widths, "0 for axis 0, the batch")
    return _padded(node, tuple(zip(before, after, strict=True)), mode, value)


@translates("_npi_pad")
def numpy_pad(node: Node) -> Tensor:
    """Pad each axis by its pair (before, after) in ``pad_width``."""
    node.expect_inputs(1)
    pairs, shape = node.attrs.pairs("pad_width"), node.shape()
    if len(pairs) != len(shape):
        raise node.malformed(f"pad_width has {len(pairs)} pairs; its input {shape} has {len(shape)} axes")
    mode = node.attrs.choice("mode", MODES, "constant")
    node.attrs.choice("reflect_type", ("even",), "even")
    value = node.attrs.real("constant_value", 0.0)
    return _padded(node, pairs, mode, value)


def _padded(node: Node, pairs: tuple[tuple[int, int], ...], mode: str, value: float) -> Tensor:
    data = node.tensor()
    padded: list[Size] = []
    for size, pair in zip(data.shape, pairs, strict=True):
        if any(pair) and (isinstance(size, Batch) or (mode == "reflect" and max(pair) >= size)):
            raise node.attrs.unsupported("pad_width", pairs, f"0 for the batch, and for {mode} less than the length")
        padded.append(size if isinstance(size, Batch) else size + sum(pair))
    shape, (before, after) = tuple(padded), zip(*pairs, strict=True)
    if shape == data.shape:
        return data
    inputs: tuple[Operand, ...] = (data, node.integers("pads", *before, *after))
    if mode == "constant" and value:
        inputs = (*inputs, node.number("value", value))
    return node.emit_shaped("Pad", inputs, shape, {"mode": mode})
