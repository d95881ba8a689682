"""sort, argsort, topk: elements in order, and their indices."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from export.graph.graph import INT64
from export.graph.shape import Batch, product
from export.ops.argmax import single
from export.ops.indexing import NUMBER_TYPES
from export.ops.registry import translates
from export.ops.reshape import reshaped

if TYPE_CHECKING:
    from export.graph.graph import Tensor
    from export.graph.node import Node

INDEX_TYPES = ("float32", "float16", "float64", "int32", "int64", "uint8")


@translates("sort")
def sort(node: Node) -> Tensor:
    """Sort along ``axis``, by default the last, in ascending order, or in descending order with ``is_ascend=False``."""
    node.expect_inputs(1)
    values, _ = _sorted(node)
    return _as_input(node, values)


@translates("argsort")
def argsort(node: Node) -> Tensor:
    """Return the indices that sort, as ``dtype``, by default float32. Equal elements keep their order."""
    node.expect_inputs(1)
    dtype = np.dtype(node.attrs.choice("dtype", NUMBER_TYPES, "float32"))
    _, index = _sorted(node)
    return node.graph.cast(index, dtype, node.name)


def _sorted(node: Node) -> tuple[Tensor, Tensor]:
    if node.attrs.is_none("axis"):
        raise node.attrs.unsupported("axis", None, "one axis")
    axis = node.axis("axis", -1)
    ascending = node.attrs.boolean("is_ascend", default=True)
    data = single(node)
    return _top(node, data, axis, node.length(axis), smallest=ascending)


@translates("topk")
def top_k(node: Node) -> tuple[Tensor, ...]:
    """Return the ``k`` largest elements in order, their indices, or both; all elements for ``k`` below 1.

    Equal elements are in the order of their indices, as in MXNet for ``k`` above an eighth of the elements. For smaller
    ``k`` MXNet does not define their order (``ordering_op-inl.h``: TopKSort).
    """
    node.expect_inputs(1)
    kind = node.attrs.choice("ret_typ", ("indices", "value", "both"), "indices")
    flat = node.attrs.is_none("axis")
    value = node.attrs.optional_integer("axis", minimum=-8)
    shape = (product(node.shape()),) if flat else node.shape()
    axis = 0 if flat else (-1 if value is None else value)
    axis += len(shape) if axis < 0 else 0
    if axis not in range(len(shape)) or isinstance(size := shape[axis], Batch):
        raise node.attrs.unsupported(
            "axis", None if flat else value, f"an axis of {node.shape()} that is not the batch"
        )
    k = node.attrs.integer("k", 1, minimum=-(2**31))
    count = k if k >= 1 else size
    if count > size:
        raise node.malformed(f"k is {k}, and axis {axis} has {size} elements")
    ascending = node.attrs.boolean("is_ascend", default=False)
    dtype = np.dtype(node.attrs.choice("dtype", INDEX_TYPES, "float32"))
    data = reshaped(node, shape, "flat", single(node))
    values, indices = _top(node, data, axis, count, smallest=ascending)
    if kind == "value":
        return (_as_input(node, values),)
    _check_index_type(node, dtype, size)
    indices = node.graph.cast(indices, dtype, f"{node.name}/as_{dtype}") if indices.dtype != dtype else indices
    return (indices,) if kind == "indices" else (_as_input(node, values), indices)


def _check_index_type(node: Node, dtype: np.dtype[Any], size: int) -> None:
    largest = 2 ** (np.finfo(dtype).nmant + 1) if dtype.kind == "f" else int(np.iinfo(dtype).max)
    if size > largest:
        raise node.attrs.unsupported("dtype", dtype, f"a type that holds the indices of {size:,} elements exactly")


def _top(node: Node, data: Tensor, axis: int, count: int, *, smallest: bool) -> tuple[Tensor, Tensor]:
    """Return the ``count`` largest or smallest elements in order, and their indices as int64."""
    shape = (*data.shape[:axis], count, *data.shape[axis + 1 :])
    attrs = {"axis": axis, "largest": int(not smallest), "sorted": 1}
    outputs = [("values", shape, data.dtype), ("indices", shape, INT64)]
    values, indices = node.emit_several("TopK", (data, node.integers("k", count)), outputs, attrs, "top")
    return values, indices


def _as_input(node: Node, values: Tensor) -> Tensor:
    dtype = node.tensor().dtype
    return values if values.dtype == dtype else node.graph.cast(values, dtype, f"{node.name}/as_input")
