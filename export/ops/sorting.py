"""argmax, argmin, argmax_channel, sort, argsort: order the elements along one axis."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from export.graph.graph import FLOAT16, FLOAT32, INT64
from export.graph.shape import product
from export.ops.indexing import NUMBER_TYPES
from export.ops.registry import translates

if TYPE_CHECKING:
    from export.graph.graph import Tensor
    from export.graph.node import Node

ONNX_OPS = {"argmax": "ArgMax", "argmin": "ArgMin", "argmax_channel": "ArgMax"}


@translates(*ONNX_OPS)
def extreme_index(node: Node) -> Tensor:
    """Return the index of the first largest or smallest element, in the type of the input.

    argmax_channel has axis 1. Without ``axis``, the index is that in the flattened tensor, of shape (1,).
    """
    node.expect_inputs(1)
    channel = node.op == "argmax_channel"
    keep = not channel and node.attrs.boolean("keepdims", default=False)
    data = _single(node, node.tensor())
    if not channel and node.attrs.optional_integer("axis", minimum=-8) is None:
        index = _of_all(node, data, keep=keep)
    else:
        axis = node.axis("axis", 1 if channel else None)
        shape = (*data.shape[:axis], *([1] if keep else []), *data.shape[axis + 1 :]) or (1,)
        attrs = {"axis": axis, "keepdims": int(keep or len(data.shape) == 1)}
        index = node.emit_shaped(ONNX_OPS[node.op], (data,), shape, attrs, "index", INT64)
    return node.graph.cast(index, node.tensor().dtype, node.name)


def _of_all(node: Node, data: Tensor, *, keep: bool) -> Tensor:
    """Return the index in the flattened tensor."""
    if len(node.inner_axes()) < len(data.shape):
        raise node.attrs.unsupported("axis", None, node.expected_axes())
    shape = (1,) * (len(data.shape) if keep else 1)
    flat = node.emit_shaped("Reshape", (data, node.integers("all", -1)), (product(data.shape),), step="flat")
    index = node.emit_shaped(ONNX_OPS[node.op], (flat,), (1,), {"axis": 0}, "flat_index", INT64)
    return node.emit_shaped("Reshape", (index, node.integers("shape", *shape)), shape, step="index")


def _single(node: Node, data: Tensor) -> Tensor:
    """Return float16 as float32, of which onnxruntime finds extremes."""
    return node.graph.cast(data, FLOAT32, f"{node.name}/single") if data.dtype == FLOAT16 else data


@translates("sort")
def sort(node: Node) -> Tensor:
    """Sort along ``axis``, by default the last, from the smallest on or with ``is_ascend=False`` from the largest."""
    node.expect_inputs(1)
    dtype = node.tensor().dtype
    values, _ = _sorted(node, "values" if dtype == FLOAT16 else "")
    return values if dtype == values.dtype else node.graph.cast(values, dtype, node.name)


@translates("argsort")
def argsort(node: Node) -> Tensor:
    """Return the indices that sort, as ``dtype``, by default float32. Equal elements keep their order."""
    node.expect_inputs(1)
    dtype = np.dtype(node.attrs.choice("dtype", NUMBER_TYPES, "float32"))
    _, index = _sorted(node, "values")
    return node.graph.cast(index, dtype, node.name)


def _sorted(node: Node, step: str) -> tuple[Tensor, Tensor]:
    if node.attrs.is_none("axis"):
        raise node.attrs.unsupported("axis", None, "one axis")
    axis = node.axis("axis", -1)
    ascending = node.attrs.boolean("is_ascend", default=True)
    data = _single(node, node.tensor())
    length = node.integers("length", node.length(axis))
    attrs = {"axis": axis, "largest": int(not ascending), "sorted": 1}
    outputs = [(step, data.shape, data.dtype), ("indices", data.shape, INT64)]
    values, index = node.emit_several("TopK", (data, length), outputs, attrs, step)
    return values, index
