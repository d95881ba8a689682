"""Indices as ONNX takes them: int64, within the axis that they index."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from export.graph.graph import INT64, Constant

if TYPE_CHECKING:
    from export.graph.graph import Operand
    from export.graph.node import Node

LARGEST = 2.0**31  # MXNet's indices have 32 bits


def whole_numbers(node: Node, index: int, step: str) -> Operand:
    """Return input ``index`` as int64. The fractions of real numbers are cut off, as in MXNet."""
    operand = node.inputs[index]
    if operand.dtype == INT64:
        return operand
    if isinstance(operand, Constant):
        if not (np.abs(operand.array.astype(np.float64)) < LARGEST).all():
            raise node.malformed(f"parameter {operand.name!r} holds NaN, infinity or a number too large for an index")
        return node.constant(step, np.trunc(operand.array).astype(np.int64))
    return node.graph.cast(operand, INT64, f"{node.name}/{step}")


def indices(node: Node, index: int, length: int, mode: str) -> Operand:
    """Return input ``index`` as indices of an axis of ``length``.

    Numbers out of range are clipped to the first or last index (``mode`` "clip"), wrapped around ("wrap"), or kept
    ("raise"), because neither MXNet nor ONNX computes anything for them.
    """
    numbers = whole_numbers(node, index, "indices")
    if mode == "clip":
        return limited(node, numbers, 0, length - 1)
    if isinstance(numbers, Constant):
        array = numbers.array
        if mode == "raise" and array.size and not 0 <= array.min() <= array.max() < length:
            raise node.malformed(f"{numbers.name!r} holds an index that an axis of {length} does not have")
        return node.constant("within", array % length)
    if mode == "wrap":
        return node.emit_like(numbers, "Mod", (numbers, node.constant("length", np.array(length))), step="within")
    return numbers


def limited(node: Node, numbers: Operand, low: int, high: int) -> Operand:
    """Limit whole numbers to a range."""
    if isinstance(numbers, Constant):
        return node.constant("within", numbers.array.clip(low, high))
    bounds = node.constant("low", np.array(low)), node.constant("high", np.array(high))
    return node.emit_like(numbers, "Clip", (numbers, *bounds), step="within")
