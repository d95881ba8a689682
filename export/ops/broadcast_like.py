"""ones_like, zeros_like, broadcast_like, broadcast_to, broadcast_axis: repeat up to a shape."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from export.graph.graph import INT64
from export.graph.shape import Batch, broadcast_shape
from export.libraries import onnx
from export.ops.registry import translates

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from export.graph.graph import Operand, Tensor
    from export.graph.node import Node
    from export.graph.shape import BatchShape, Size

FILLS = {"ones_like": 1.0, "zeros_like": 0.0}


@translates(*FILLS)
def constant_like(node: Node) -> Tensor:
    """Fill a tensor. `export.passes.remove_expand` makes it a scalar where the operator that takes it broadcasts."""
    node.expect_inputs(1)
    node.attrs.ignore("dtype")  # MXNet stores it and takes the type of the input
    return _filled(node, np.array([FILLS[node.op]], node.tensor().dtype))


@translates("_npi_full_like")
def full_like(node: Node) -> Tensor:
    """Fill a tensor with ``fill_value``. NumPy's ones_like and zeros_like use this operator too."""
    node.expect_inputs(1)
    node.attrs.ignore("ctx")
    own = node.tensor().dtype
    dtype = np.dtype(node.attrs.choice("dtype", ("float32", "float16"), str(own)))
    return _filled(node, node.number("fill_value", node.attrs.real("fill_value"), dtype).array.reshape(1))


def _filled(node: Node, value: NDArray[Any]) -> Tensor:
    data = node.tensor()
    shape = node.emit_shaped("Shape", (data,), (len(data.shape),), step="shape", dtype=INT64)
    attrs = {"value": onnx.numpy_helper.from_array(value, "value")}
    return node.emit_like(data, "ConstantOfShape", (shape,), attrs, dtype=value.dtype)


@translates("broadcast_like")
def broadcast_like(node: Node) -> Tensor:
    """Repeat axes of length 1 until the shape is that of the second input; with ``lhs_axes``, only those axes."""
    node.expect_inputs(2)
    data, other = node.tensor(0), node.tensor(1)
    axes = [node.attrs.integers(name, minimum=-8, default=()) for name in ("lhs_axes", "rhs_axes")]
    if not any(axes):
        if len(data.shape) != len(other.shape) or broadcast_shape(data.shape, other.shape) != other.shape:
            raise node.malformed(f"its input {data.shape} cannot be broadcast to {other.shape}")
        return expand_like(node, data, other)
    ours, theirs = (
        [axis + len(tensor.shape) if axis < 0 else axis for axis in named]
        for named, tensor in zip(axes, (data, other), strict=True)
    )
    if (
        len(ours) != len(theirs)
        or not set(ours) <= set(range(len(data.shape)))
        or not set(theirs) <= set(range(len(other.shape)))
    ):
        raise node.malformed(f"lhs_axes {axes[0]} and rhs_axes {axes[1]} do not fit {data.shape} and {other.shape}")
    sizes = dict(zip(ours, (other.shape[axis] for axis in theirs), strict=True))
    shape = _repeated(node, sizes)
    if not any(isinstance(size, Batch) and data.shape[axis] == 1 for axis, size in sizes.items()):
        return _expand(node, shape)
    whole = node.emit_shaped("Shape", (other,), (len(other.shape),), step="like_shape", dtype=INT64)
    longer = node.emit_shaped(
        "Concat", (whole, node.integers("kept", 1)), (len(other.shape) + 1,), {"axis": 0}, step="like_or_kept"
    )
    source = [theirs[ours.index(axis)] if axis in ours else len(other.shape) for axis in range(len(shape))]
    target = node.emit_shaped("Gather", (longer, node.integers("sources", *source)), (len(shape),), step="shape")
    return node.emit_shaped("Expand", (data, target), shape)


@translates("broadcast_to")
def broadcast_to(node: Node) -> Tensor:
    """Repeat axes of length 1 to fit ``shape``, in which 0 keeps an axis."""
    node.expect_inputs(1)
    old = node.shape()
    shape = node.attrs.integers("shape")
    if len(shape) != len(old):
        raise node.malformed(f"its input {old} cannot be broadcast to {shape}")
    return _expand(node, _repeated(node, {axis: size for axis, size in enumerate(shape) if size}))


@translates("broadcast_axis")
def broadcast_axis(node: Node) -> Tensor:
    """Repeat each axis in ``axis``, of length 1, as many times as ``size`` says."""
    node.expect_inputs(1)
    axes, sizes = node.attrs.integers("axis", default=()), node.attrs.integers("size", default=())
    if len(axes) != len(sizes) or not set(axes) <= set(range(len(node.shape()))):
        raise node.malformed(f"axis {axes} and size {sizes} do not fit its input {node.shape()}")
    return _expand(node, _repeated(node, dict(zip(axes, sizes, strict=True))))


def _repeated(node: Node, sizes: Mapping[int, Size]) -> BatchShape:
    """Return the shape of input 0 with new sizes for some axes, whose size must be the new one or 1."""
    old = node.shape()
    new = tuple(sizes.get(axis, size) for axis, size in enumerate(old))
    if any(before not in (1, after) for before, after in zip(old, new, strict=True)):
        raise node.malformed(f"its input {old} cannot be broadcast to {new}")
    return new


def _expand(node: Node, shape: BatchShape) -> Tensor:
    """Repeat axes of input 0 up to ``shape``. The batch axis is not repeated."""
    data = node.tensor()
    if shape == data.shape:
        return data
    sizes = (1 if isinstance(size, Batch) else size for size in shape)
    return node.emit_shaped("Expand", (data, node.integers("shape", *sizes)), shape)


def expand_like(node: Node, data: Tensor, other: Tensor, step: str = "") -> Tensor:
    """Repeat axes of length 1 of one tensor until its shape is that of the other."""
    if data.shape == other.shape:
        return data
    sizes = [1 if old == new else new for old, new in zip(data.shape, other.shape, strict=True)]
    if any(isinstance(size, Batch) for size in sizes):
        target: Operand = node.emit_shaped("Shape", (other,), (len(sizes),), step="like_shape", dtype=INT64)
    else:
        target = node.integers("shape", *(size for size in sizes if not isinstance(size, Batch)))
    return node.emit_shaped("Expand", (data, target), other.shape, step=step)
