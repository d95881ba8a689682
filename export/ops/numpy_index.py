"""NumPy's argmax and argmin."""

from __future__ import annotations

from typing import TYPE_CHECKING

from export.graph.graph import FLOAT16, FLOAT32, INT64
from export.ops.cast import cast_input
from export.ops.registry import translates

if TYPE_CHECKING:
    from export.graph.graph import Tensor
    from export.graph.node import Node

ONNX_OPS = {"_npi_argmax": "ArgMax", "_npi_argmin": "ArgMin"}


@translates(*ONNX_OPS)
def extreme_index(node: Node) -> Tensor:
    """Return the int64 index of the first largest or smallest element along ``axis``; the default, all, is refused."""
    node.expect_inputs(1)
    if node.attrs.optional_integer("axis", minimum=-8) is None:
        raise node.attrs.unsupported("axis", None, node.expected_axes())
    axis, keep = node.axis("axis"), node.attrs.boolean("keepdims", default=False)
    old = node.shape()
    data = cast_input(node, 0, FLOAT32 if node.tensor().dtype == FLOAT16 else node.tensor().dtype, "single")
    shape = (*old[:axis], *([1] if keep else []), *old[axis + 1 :])
    return node.emit_shaped(ONNX_OPS[node.op], (data,), shape, {"axis": axis, "keepdims": int(keep)}, dtype=INT64)
