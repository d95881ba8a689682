"""_arange: count in steps. The numbers depend only on attributes and are computed at export."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from export.graph.graph import MAX_ROW_ELEMENTS, ONNX_TYPES
from export.ops.registry import translates

if TYPE_CHECKING:
    from export.graph.graph import Constant
    from export.graph.node import Node


@translates("_arange")
def arange(node: Node) -> Constant:
    """Count from ``start`` to below ``stop``, each number ``repeat`` times. With one of them, count from 0 to it."""
    node.expect_inputs(0)
    node.attrs.ignore("ctx")
    if node.attrs.boolean("infer_range", default=False):
        raise node.attrs.unsupported("infer_range", "True", "False")
    start, stop, step = (node.attrs.real(*pair) for pair in (("start", 0.0), ("stop", math.nan), ("step", 1.0)))
    if math.isnan(stop):
        start, stop = 0.0, start
    repeat = node.attrs.integer("repeat", 1, minimum=1)
    dtype = np.dtype(node.attrs.choice("dtype", tuple(map(str, ONNX_TYPES)), "float32"))
    steps = (stop - start) / step if step else 0.0
    if not 0 < steps < math.inf:
        raise node.malformed(f"it has no number from {start} to below {stop} in steps of {step}")
    if steps * repeat > MAX_ROW_ELEMENTS:
        raise node.malformed(f"it makes {steps * repeat:,.0f} numbers; the limit is {MAX_ROW_ELEMENTS:,}")
    if dtype not in (np.float32, np.float64) and not (start.is_integer() and step.is_integer()):
        raise node.attrs.unsupported("step", step, f"whole numbers for {dtype}, for which MXNet cuts fractions off")
    kind = dtype.type if dtype.itemsize >= 4 else np.float32
    numbers = kind(start) + np.arange(math.ceil(steps)).astype(kind) * kind(step)  # `init_op.h`: range_fwd
    return node.graph.constant(node.name, numbers.astype(dtype).repeat(repeat))
