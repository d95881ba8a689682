"""argmax, argmin, argmax_channel: the index of the largest or smallest element."""

from __future__ import annotations

from typing import TYPE_CHECKING

from export.graph.graph import FLOAT16, FLOAT32, INT64, Tensor
from export.graph.shape import product
from export.ops.registry import translates

if TYPE_CHECKING:
    from export.graph.node import Node

ONNX_OPS = {
    **{"argmax": "ArgMax", "argmin": "ArgMin", "argmax_channel": "ArgMax"},
    **{"_npi_argmax": "ArgMax", "_npi_argmin": "ArgMin"},
}


@translates("argmax", "argmin", "argmax_channel")
def extreme_index(node: Node) -> Tensor:
    """Return the index of the first largest or smallest element, in the type of the input.

    argmax_channel has axis 1. Without ``axis``, it is the index in the flattened tensor, of shape (1,).
    """
    node.expect_inputs(1)
    channel = node.op == "argmax_channel"
    keep = not channel and node.attrs.boolean("keepdims", default=False)
    if not channel and node.attrs.optional_integer("axis", minimum=-8) is None:
        index = _of_all(node, single(node), keep=keep)
    else:
        axis = node.axis("axis", 1 if channel else None)
        index = _along(node, axis, keep=keep or len(node.shape()) == 1, step="index")
    return node.graph.cast(index, node.tensor().dtype, node.name)


@translates("_npi_argmax", "_npi_argmin")
def numpy_extreme_index(node: Node) -> Tensor:
    """Return the int64 index of the first largest or smallest element along ``axis``. The default, all, is refused."""
    node.expect_inputs(1)
    if node.attrs.optional_integer("axis", minimum=-8) is None:
        raise node.attrs.unsupported("axis", None, node.expected_axes())
    return _along(node, node.axis("axis"), keep=node.attrs.boolean("keepdims", default=False))


def _along(node: Node, axis: int, *, keep: bool, step: str = "") -> Tensor:
    data = single(node)
    shape = (*data.shape[:axis], *([1] if keep else []), *data.shape[axis + 1 :])
    return node.emit_shaped(ONNX_OPS[node.op], (data,), shape, {"axis": axis, "keepdims": int(keep)}, step, INT64)


def _of_all(node: Node, data: Tensor, *, keep: bool) -> Tensor:
    """Return the index in the flattened tensor."""
    if len(node.inner_axes()) < len(data.shape):
        raise node.attrs.unsupported("axis", None, node.expected_axes())
    shape = (1,) * (len(data.shape) if keep else 1)
    flat = node.emit_shaped("Reshape", (data, node.integers("all", -1)), (product(data.shape),), step="flat")
    index = node.emit_shaped(ONNX_OPS[node.op], (flat,), (1,), {"axis": 0}, "flat_index", INT64)
    return node.emit_shaped("Reshape", (index, node.integers("shape", *shape)), shape, step="index")


def single(node: Node) -> Tensor:
    """Return input 0, with float16 cast to float32, in which onnxruntime can find extremes."""
    data = node.tensor()
    return node.graph.cast(data, FLOAT32, f"{node.name}/single") if data.dtype == FLOAT16 else data
