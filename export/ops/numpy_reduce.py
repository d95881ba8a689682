"""NumPy's sum, mean, max, min, prod, var, std and average, norm and cumsum over some axes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from export.graph.graph import BOOL, FLOAT16, FLOAT32, INT64, Constant
from export.ops.cast import cast_input
from export.ops.reduce import reduced
from export.ops.registry import translates

if TYPE_CHECKING:
    from typing import Any

    from export.graph.graph import Tensor
    from export.graph.node import Node

ONNX_OPS = {
    **{"_np_sum": "ReduceSum", "_np_prod": "ReduceProd", "_np_max": "ReduceMax", "_np_min": "ReduceMin"},
    **{"_npi_mean": "ReduceMean", "_npi_average": "ReduceMean"},
}
TYPES = ("float32", "float16")


@translates("_np_sum", "_np_prod", "_npi_mean")
def numpy_sum(node: Node) -> Tensor:
    """Reduce over ``axis``, in the type ``dtype``. An empty tuple of axes reduces nothing."""
    node.expect_inputs(1)
    _refuse_initial(node)
    return _reduced(node, _in_type(node))


@translates("_np_max", "_np_min")
def numpy_extreme(node: Node) -> Tensor:
    """Take the largest or smallest element over ``axis``."""
    node.expect_inputs(1)
    _refuse_initial(node)
    return _reduced(node, node.tensor())


@translates("_npi_average")
def numpy_average(node: Node) -> Tensor:
    """Compute the mean over ``axis``; refuse weights."""
    if node.attrs.boolean("weighted", default=True):
        raise node.attrs.unsupported("weighted", "True", "False")
    if node.attrs.boolean("returned", default=False):
        raise node.attrs.unsupported("returned", "True", "False")
    node.expect_inputs(1)
    return _reduced(node, node.tensor())


@translates("_npi_var", "_npi_std")
def numpy_variance(node: Node) -> Tensor:
    """Compute the variance or standard deviation over ``axis``. ``ddof`` is subtracted from the number of elements."""
    node.expect_inputs(1)
    node.real_tensor()
    data, axes = _in_type(node), _axes(node)
    less, keep = node.attrs.integer("ddof", 0, minimum=-8), node.attrs.boolean("keepdims", default=False)
    count = int(np.prod([node.length(axis) for axis in axes], dtype=np.int64))
    if less >= count:
        raise node.attrs.unsupported("ddof", less, f"less than {count}, the number of elements")
    if not axes:
        raise node.attrs.unsupported("axis", "()", "at least one axis")
    root = node.op == "_npi_std"
    mean = reduced(node, "ReduceMean", data, axes, keep=True, step="mean")
    deviation = node.emit_like(data, "Sub", (data, mean), step="deviation")
    square = node.emit_like(data, "Mul", (deviation, deviation), step="square")
    variance = reduced(node, "ReduceMean", square, axes, keep=keep, step="variance" if root or less else "")
    if less:
        factor = node.constant("factor", np.array(count / (count - less), data.dtype))
        variance = node.emit_like(variance, "Mul", (variance, factor), step="corrected" if root else "")
    return node.emit_like(variance, "Sqrt", (variance,)) if root else variance


@translates("_npi_norm")
def numpy_norm(node: Node) -> Tensor:
    """Compute the root of the sum of squares over ``axis`` (``flag`` is 1), or a vector's norm (``flag`` is -1)."""
    node.expect_inputs(1)
    flag, order = node.attrs.choice("flag", ("1", "-1")), node.attrs.choice("ord", ("1", "2"))
    axes, keep, data = _axes(node), node.attrs.boolean("keepdims", default=False), node.tensor()
    if not axes or (flag == "-1" and len(axes) > 1):
        raise node.attrs.unsupported("axis", sorted(axes), "one axis")
    if flag == "-1" and order == "1":
        magnitude = node.emit_like(data, "Abs", (data,), step="magnitude")
        return reduced(node, "ReduceSum", magnitude, axes, keep=keep)
    square = node.emit_like(data, "Mul", (data, data), step="square")
    total = reduced(node, "ReduceSum", square, axes, keep=keep, step="total")
    return node.emit_like(total, "Sqrt", (total,))


@translates("_np_cumsum")
def numpy_cumsum(node: Node) -> Tensor:
    """Add up along ``axis``. The default, all elements, is refused. Sums are taken in float32."""
    node.expect_inputs(1)
    if node.attrs.optional_integer("axis", minimum=-8) is None:
        raise node.attrs.unsupported("axis", None, node.expected_axes())
    axis, data = node.axis("axis"), _in_type(node)
    position = node.constant("axis", np.array(axis, np.int64))
    if data.dtype != FLOAT16:
        return node.emit_like(data, "CumSum", (data, position), dtype=data.dtype)
    single = node.graph.cast(data, FLOAT32, f"{node.name}/single")
    return node.graph.cast(node.emit_like(single, "CumSum", (single, position), step="sums"), FLOAT16, node.name)


def _reduced(node: Node, data: Tensor) -> Tensor:
    axes, keep = _axes(node), node.attrs.boolean("keepdims", default=False)
    return reduced(node, ONNX_OPS[node.op], data, axes, keep=keep) if axes else data


def _axes(node: Node) -> set[int]:
    """Parse ``axis``, by default all. Unlike in older operators, an empty tuple means none."""
    count = len(node.shape())
    named = node.attrs.optional_integers("axis", minimum=-8)
    axes = {axis + count if axis < 0 else axis for axis in named or () if axis is not None}
    if named is None:
        axes = set(range(count))
    if not axes <= set(node.inner_axes()):
        raise node.attrs.unsupported("axis", named, f"some of {node.expected_axes()}")
    return axes


def _in_type(node: Node) -> Tensor:
    """Return the input in the type ``dtype``, by default its own. Integers stay integers only in sums and products."""
    dtype: np.dtype[Any] = node.tensor().dtype
    if dtype.kind != "f" and node.op not in ("_np_cumsum", "_np_sum", "_np_prod"):
        dtype = FLOAT32
    name = node.attrs.choice("dtype", TYPES, str(INT64 if dtype == BOOL else dtype))
    operand = cast_input(node, 0, np.dtype(name), "input")
    return node.graph.as_tensor(operand) if isinstance(operand, Constant) else operand


def _refuse_initial(node: Node) -> None:
    node.attrs.choice("initial", ("None",), "None")
