"""_zeros, _ones, _full, _contrib_arange_like: tensors of given numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from export.errors import UnsupportedOpError
from export.graph.graph import INT64, Tensor, check_size
from export.graph.shape import Batch, N
from export.libraries import onnx
from export.ops.indexing import NUMBER_TYPES
from export.ops.registry import translates

if TYPE_CHECKING:
    from export.graph.graph import Operand
    from export.graph.node import Node

FILLS = {"_zeros": 0.0, "_ones": 1.0}


@translates("_zeros", "_ones", "_full")
def fill(node: Node) -> Operand:
    """Fill ``shape``. A size of 0 is unknown to MXNet. In the initial states of sequences it is the batch."""
    node.expect_inputs(0)
    node.attrs.ignore("ctx")
    dtype = np.dtype(node.attrs.choice("dtype", NUMBER_TYPES, "float32"))
    number = FILLS[node.op] if node.op in FILLS else node.attrs.real("value")
    shape = tuple(size or node.graph.batch for size in node.attrs.integers("shape"))
    check_size(node.attrs.where, shape)
    if shape.count(N) > 1:
        raise node.attrs.unsupported("shape", shape, "at most one unknown size")
    if N not in shape:
        sizes = tuple(size for size in shape if isinstance(size, int))
        return node.graph.constant(node.name, np.full(sizes, number, dtype))
    value = onnx.numpy_helper.from_array(np.array([number], dtype), "value")
    target = _with_batch(node, shape.index(N), tuple(1 if isinstance(size, Batch) else size for size in shape))
    return node.emit_shaped("ConstantOfShape", (target,), shape, {"value": value}, dtype=dtype)


def _with_batch(node: Node, axis: int, sizes: tuple[int, ...]) -> Tensor:
    """Compute a shape whose size along ``axis`` is the batch size, which a network's input has."""
    counted = [tensor for tensor in node.graph.inputs if N in tensor.shape]
    if not counted:
        raise node.attrs.unsupported("shape", sizes, "known sizes, as no input of the network has a batch axis")
    source, batch = counted[0], counted[0].shape.index(N)
    whole = node.emit_shaped("Shape", (source,), (len(source.shape),), step="input_shape", dtype=INT64)
    size = node.emit_shaped("Gather", (whole, node.integers("batch", batch)), (1,), {"axis": 0}, step="batch_size")
    before, after = node.integers("before", *sizes[:axis]), node.integers("after", *sizes[axis + 1 :])
    parts = tuple(part for part in (before, size, after) if isinstance(part, Tensor) or part.array.size)
    return node.emit_shaped("Concat", parts, (len(sizes),), {"axis": 0}, step="shape", dtype=INT64)


@translates("_contrib_arange_like")
def arange_like(node: Node) -> Operand:
    """Count along ``axis``, or through the whole tensor, from ``start`` by ``step``; each number ``repeat`` times."""
    node.expect_inputs(1)
    node.attrs.ignore("ctx")
    start, step = node.attrs.real("start", 0.0), node.attrs.real("step", 1.0)
    repeat = node.attrs.integer("repeat", 1, minimum=1)
    given = node.attrs.optional_integer("axis", minimum=-8)
    shape = tuple(node.shape()) if given is None else (node.length(node.axis("axis")),)
    if any(isinstance(size, Batch) for size in shape):
        raise UnsupportedOpError(
            f"{node.op} {node.name!r}: without an axis, it counts across images. Give it an axis in the network."
        )
    sizes = tuple(size for size in shape if isinstance(size, int))
    numbers = start + step * (np.arange(np.prod(sizes, dtype=int)) // repeat)
    return node.graph.constant(node.name, numbers.reshape(sizes).astype(node.inputs[0].dtype))
