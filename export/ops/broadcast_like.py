"""ones_like, zeros_like, broadcast_like: a tensor of another tensor's shape."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from export.graph.graph import INT64
from export.graph.shape import Batch, broadcast_shape
from export.libraries import onnx
from export.ops.registry import translates
from export.ops.scalar import typed_number

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from export.graph.graph import Operand, Tensor
    from export.graph.node import Node

FILLS = {"ones_like": 1.0, "zeros_like": 0.0}


@translates(*FILLS)
def constant_like(node: Node) -> Tensor:
    """Fill a tensor; `export.passes.remove_expand` makes it a scalar where the operator that takes it broadcasts."""
    node.expect_inputs(1)
    return _filled(node, np.array([FILLS[node.op]], node.tensor().dtype))


@translates("_npi_full_like")
def full_like(node: Node) -> Tensor:
    """Fill a tensor with ``fill_value``; NumPy's ones_like and zeros_like are this operator, too."""
    node.expect_inputs(1)
    node.attrs.ignore("ctx")
    own = node.tensor().dtype
    dtype = np.dtype(node.attrs.choice("dtype", ("float32", "float16"), str(own)))
    return _filled(node, typed_number(node, "fill_value", node.attrs.real("fill_value"), dtype).array.reshape(1))


def _filled(node: Node, value: NDArray[Any]) -> Tensor:
    data = node.tensor()
    shape = node.emit_shaped("Shape", (data,), (len(data.shape),), step="shape", dtype=INT64)
    attrs = {"value": onnx.numpy_helper.from_array(value, "value")}
    return node.emit_like(data, "ConstantOfShape", (shape,), attrs, dtype=value.dtype)


@translates("broadcast_like")
def broadcast_like(node: Node) -> Tensor:
    """Repeat axes of length 1 until the shape is that of the second input."""
    node.expect_inputs(2)
    for name in ("lhs_axes", "rhs_axes"):
        node.attrs.choice(name, ("all",), "all")
    data, other = node.tensor(0), node.tensor(1)
    if len(data.shape) != len(other.shape) or broadcast_shape(data.shape, other.shape) != other.shape:
        raise node.malformed(f"its input {data.shape} cannot be broadcast to {other.shape}")
    return expand_like(node, data, other)


def expand_like(node: Node, data: Tensor, other: Tensor, step: str = "") -> Tensor:
    """Repeat axes of length 1 of a tensor until its shape is that of the other."""
    if data.shape == other.shape:
        return data
    sizes = [1 if old == new else new for old, new in zip(data.shape, other.shape, strict=True)]
    if any(isinstance(size, Batch) for size in sizes):
        target: Operand = node.emit_shaped("Shape", (other,), (len(sizes),), step="like_shape", dtype=INT64)
    else:
        target = node.integers("shape", *(size for size in sizes if not isinstance(size, Batch)))
    return node.emit_shaped("Expand", (data, target), other.shape, step=step)
