"""gather_nd, shape_array: take elements by index; the shape as a tensor."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from export.graph.graph import INT64
from export.graph.shape import Batch
from export.ops.registry import translates
from export.ops.reshape import transposed

if TYPE_CHECKING:
    from export.graph.graph import Operand, Tensor
    from export.graph.node import Node


@translates("gather_nd")
def gather_nd(node: Node) -> Tensor:
    """Take the elements or parts of the first input at indices (M, ...) of its first M axes.

    MXNet cuts fractions off. Negative indices count from the end of an axis.
    """
    node.expect_inputs(2)
    data, indices = node.tensor(0), node.tensor(1)
    depth = indices.shape[0]
    if isinstance(depth, Batch) or not 1 <= depth <= len(data.shape):
        raise node.malformed(f"its indices are {indices.shape}; expected up to {len(data.shape)} of them on axis 0")
    batch = [isinstance(size, Batch) for size in data.shape[:depth]]
    if any(batch) and not any(isinstance(size, Batch) for size in indices.shape):
        raise node.malformed(
            f"its indices {indices.shape} select images of its input {data.shape}; expected a batch axis"
        )
    if indices.dtype != INT64:
        indices = node.graph.cast(indices, INT64, f"{node.name}/whole")
    last = transposed(node, (*range(1, len(indices.shape)), 0), "last", indices)
    return node.emit_shaped("GatherND", (data, last), (*indices.shape[1:], *data.shape[depth:]), dtype=data.dtype)


@translates("shape_array")
def shape_array(node: Node) -> Operand:
    """Return the lengths of the axes as int64."""
    node.expect_inputs(1)
    sizes = [size for size in node.shape() if not isinstance(size, Batch)]
    if len(sizes) == len(node.shape()):
        return node.graph.constant(node.name, np.array(sizes, np.int64))
    data = node.tensor()
    return node.emit_shaped("Shape", (data,), (len(data.shape),), dtype=INT64)
