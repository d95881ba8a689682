"""NumPy's comparisons, logical_not and where."""

from __future__ import annotations

from typing import TYPE_CHECKING

from export.errors import UnsupportedOpError
from export.graph.graph import BOOL, FLOAT32
from export.graph.shape import broadcast_shape
from export.ops.elementwise import common_shape
from export.ops.registry import translates

if TYPE_CHECKING:
    from typing import Any

    import numpy as np

    from export.graph.graph import Constant, Operand, Tensor
    from export.graph.node import Node
    from export.graph.shape import BatchShape

COMPARISONS = {
    **{"equal": "Equal", "not_equal": "Equal", "greater": "Greater", "greater_equal": "GreaterOrEqual"},
    **{"less": "Less", "less_equal": "LessOrEqual"},
}
WHERE_NUMBERS = {  # operator -> its numbers, in the order of NumPy's arguments x and y; None is an input
    **{"_npi_where": (None, None), "_npi_where_lscalar": ("scalar", None), "_npi_where_rscalar": (None, "scalar")},
    "_npi_where_scalar2": ("x", "y"),
}


@translates(*(f"_npi_{name}" for name in COMPARISONS))
def compare(node: Node) -> Tensor:
    """Compare two tensors, element by element, to truth values."""
    shape = common_shape(node)
    return _compared(node, node.op.removeprefix("_npi_"), (node.tensor(0), node.tensor(1)), shape)


@translates(*(f"_npi_{name}_scalar" for name in COMPARISONS))
def compare_scalar(node: Node) -> Tensor:
    """Compare a tensor with a number, by default 1."""
    node.expect_inputs(1)
    node.attrs.ignore("is_int")
    data, value = node.tensor(), node.attrs.real("scalar", 1.0)
    name = node.op.removeprefix("_npi_").removesuffix("_scalar")
    return _compared(node, name, (data, _number(node, "scalar", value, data.dtype)), data.shape)


@translates("_npi_logical_not")
def logical_not(node: Node) -> Tensor:
    """Test which elements are 0."""
    node.expect_inputs(1)
    truth = _truth(node)
    return node.emit_shaped("Not", (truth,), truth.shape)


@translates(*WHERE_NUMBERS)
def where(node: Node) -> Tensor:
    """Take elements of x where the condition is not 0, of y elsewhere. All three are broadcast."""
    names = WHERE_NUMBERS[node.op]
    node.expect_inputs(1 + names.count(None))
    tensors = [node.tensor(index) for index in range(1, len(node.inputs))]
    node.require_one_type(*tensors)
    dtype = tensors[0].dtype if tensors else FLOAT32
    left = list(tensors)
    values: list[Operand] = [
        left.pop(0) if name is None else _number(node, name, node.attrs.real(name, 0.0), dtype) for name in names
    ]
    condition = _truth(node)
    shape: BatchShape | None = condition.shape
    for tensor in tensors:
        shape = broadcast_shape(shape, tensor.shape) if shape is not None else None
    if shape is None:
        shapes = ", ".join(str(node.shape(index)) for index in range(len(node.inputs)))
        raise node.malformed(f"its inputs {shapes} cannot be broadcast")
    return node.emit_shaped("Where", (condition, *values), shape, dtype=dtype)


def _compared(node: Node, name: str, operands: tuple[Operand, Operand], shape: BatchShape) -> Tensor:
    if operands[0].dtype == BOOL and COMPARISONS[name] != "Equal":
        raise UnsupportedOpError(
            f"{node.op} {node.name!r}: its input is bool; expected numbers. Cast it in the network."
        )
    step = "equal" if name == "not_equal" else ""
    result = node.emit_shaped(COMPARISONS[name], operands, shape, step=step, dtype=BOOL)
    return node.emit_shaped("Not", (result,), shape) if step else result


def _truth(node: Node) -> Tensor:
    data = node.tensor()
    return data if data.dtype == BOOL else node.graph.cast(data, BOOL, f"{node.name}/truth")


def _number(node: Node, name: str, value: float, dtype: np.dtype[Any]) -> Constant:
    """Make a number of a tensor's type. For integers it must be whole."""
    if dtype.kind in "iu" and not value.is_integer():
        raise node.attrs.unsupported(name, value, "a whole number, as its input is of integers")
    return node.number(name, value, dtype)
