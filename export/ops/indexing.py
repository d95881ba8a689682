"""Embedding, take, pick, one_hot: elements and rows that indices choose."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from export.errors import UnsupportedOpError
from export.graph.graph import BOOL, INT64, Constant, Tensor, check_size
from export.graph.shape import Batch
from export.ops._indices import indices, whole_numbers
from export.ops.registry import translates

if TYPE_CHECKING:
    from export.graph.graph import Operand
    from export.graph.node import Node
    from export.graph.shape import BatchShape

NUMBER_TYPES = ("float32", "float16", "float64", "int32", "int64", "int8", "uint8")


@translates("Embedding")
def embedding(node: Node) -> Tensor:
    """Take rows of the weight. Numbers beyond it take its first or last row (``indexing_op.h``: clip)."""
    node.expect_inputs(2)
    node.attrs.ignore("dtype", "sparse_grad")  # the output has the weight's type
    rows, columns = node.attrs.integer("input_dim", minimum=1), node.attrs.integer("output_dim", minimum=1)
    weight = node.parameter(1, (rows, columns), node.inputs[1].dtype)
    within = indices(node, 0, rows, "clip")
    return node.emit_shaped("Gather", (weight, within), (*node.shape(0), columns), {"axis": 0}, dtype=weight.dtype)


@translates("take")
def take(node: Node) -> Tensor:
    """Take slices along ``axis``, by default the first, at the indices. Numbers beyond it are clipped by default."""
    node.expect_inputs(2)
    mode = node.attrs.choice("mode", ("clip", "wrap", "raise"), "clip")
    axis = node.axis("axis", 0)
    within = indices(node, 1, node.length(axis), mode)
    shape, chosen = node.shape(0), node.shape(1)
    taken = (*shape[:axis], *chosen, *shape[axis + 1 :])
    if sum(isinstance(size, Batch) for size in taken) > 1:
        raise UnsupportedOpError(
            f"take {node.name!r}: for each image, its indices {chosen} would take elements of all images of {shape}."
        )
    return node.emit_shaped("Gather", (node.inputs[0], within), taken, {"axis": axis}, dtype=node.inputs[0].dtype)


@translates("pick")
def pick(node: Node) -> Tensor:
    """Take one element along ``axis``, by default the last, for every position of the other axes."""
    node.expect_inputs(2)
    mode = node.attrs.choice("mode", ("clip", "wrap"), "clip")
    if node.attrs.is_none("axis"):
        raise node.attrs.unsupported("axis", None, "one axis")
    axis = node.axis("axis", -1)
    keep = node.attrs.boolean("keepdims", default=False)
    shape = node.shape(0)
    kept, squeezed = (*shape[:axis], 1, *shape[axis + 1 :]), (*shape[:axis], *shape[axis + 1 :])
    if node.shape(1) not in (kept, squeezed):
        raise node.malformed(f"its indices are {node.shape(1)}; expected {squeezed} or {kept}")
    within = indices(node, 1, node.length(axis), mode)
    axes = node.integers("axes", axis)
    if node.shape(1) != kept:
        within = node.emit_shaped("Unsqueeze", (within, axes), kept, step="columns", dtype=INT64)
    data, dtype = node.inputs[0], node.inputs[0].dtype
    if keep:
        return node.emit_shaped("GatherElements", (data, within), kept, {"axis": axis}, dtype=dtype)
    picked = node.emit_shaped("GatherElements", (data, within), kept, {"axis": axis}, step="picked", dtype=dtype)
    return node.emit_shaped("Squeeze", (picked, axes), squeezed)


@translates("one_hot")
def one_hot(node: Node) -> Tensor:
    """Give each index a last axis of ``depth``: ``off_value`` except at the index, everywhere if it is out of range.

    Unlike MXNet, ONNX's OneHot counts negative indices from the end.
    """
    node.expect_inputs(1)
    depth = node.attrs.integer("depth", minimum=1)
    dtype = np.dtype(node.attrs.choice("dtype", NUMBER_TYPES, "float32"))
    values = [node.attrs.real("off_value", 0.0), node.attrs.real("on_value", 1.0)]
    with np.errstate(over="ignore", invalid="ignore"):
        table = node.constant("values", np.array(values).astype(dtype))
    chosen = whole_numbers(node, 0, "indices")
    shape: BatchShape = (*node.shape(0), depth)
    check_size(node.attrs.where, shape)
    columns: Operand = node.emit_shaped(
        "Unsqueeze", (chosen, node.integers("axes", -1)), (*node.shape(0), 1), step="columns", dtype=INT64
    )
    numbers = Constant(node.graph.claim(f"{node.name}/numbers"), np.arange(depth))
    hot = node.emit_shaped("Equal", (columns, numbers), shape, step="hot", dtype=BOOL)
    which = node.graph.cast(hot, INT64, f"{node.name}/which")
    return node.emit_shaped("Gather", (table, which), shape, {"axis": 0}, dtype=dtype)
