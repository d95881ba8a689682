"""What a translator sees of one MXNet node: attributes, translated inputs, and a pen for ONNX nodes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from export.errors import MalformedModelError, UnsupportedOpError
from export.graph.graph import (
    Attributes,
    Constant,
    Graph,
    Operand,
    Shape,
    Tensor,
)

if TYPE_CHECKING:
    from export.graph.attributes import Attrs


@dataclass(frozen=True)
class Node:
    """One MXNet node, its inputs translated.

    Parameters
    ----------
    op, name : str
        MXNet's operator, and the name under which the ONNX nodes appear.
    attrs : Attrs
    inputs : tuple of Tensor or Constant
    graph : Graph
        Where ONNX nodes are appended.
    """

    op: str
    name: str
    attrs: Attrs
    inputs: tuple[Operand, ...]
    graph: Graph

    def malformed(self, what: str) -> MalformedModelError:
        return MalformedModelError(f"{self.op} {self.name!r}: {what}.")

    def expect_inputs(self, count: int) -> None:
        if len(self.inputs) != count:
            raise self.malformed(f"{len(self.inputs)} inputs; expected {count}")

    def tensor(self, index: int = 0) -> Tensor:
        """Input ``index``, which must be computed from the images."""
        operand = self.inputs[index]
        if isinstance(operand, Constant):
            raise UnsupportedOpError(
                f"{self.op} {self.name!r}: input {index} is the parameter {operand.name!r}; "
                "only tensors computed from the images are supported there."
            )
        return operand

    def require_one_type(self, *tensors: Tensor) -> None:
        if len({tensor.dtype for tensor in tensors}) > 1:
            raise self.malformed(f"its inputs are {' and '.join(str(tensor.dtype) for tensor in tensors):.80}")

    def image(self) -> tuple[Tensor, int, int, int]:
        """Input 0, which must be (N, C, H, W): the tensor, C, H, W."""
        data = self.tensor()
        if len(data.row) != 3:
            raise self.malformed(f"its input is (N, {', '.join(map(str, data.row))}); expected (N, C, H, W)")
        channels, height, width = data.row
        return data, channels, height, width

    def axis(self, name: str, default: int | None = None) -> int:
        """An attribute that names an axis of input 0, not that of the images; negative ones count back."""
        axes = len(self.tensor().row) + 1
        value = self.attrs.integer(name, default, minimum=-8)
        axis = value % axes if -axes <= value < axes else value
        if not 1 <= axis < axes:
            raise self.attrs.unsupported(name, value, f"1 to {axes - 1}: images stay apart")
        return axis

    def parameter(self, index: int, shape: Shape, dtype: np.dtype[Any] | None = None) -> Constant:
        """Input ``index``, which must be a parameter of that shape, and of the type of input 0 unless given."""
        operand = self.inputs[index]
        if not isinstance(operand, Constant):
            raise UnsupportedOpError(
                f"{self.op} {self.name!r}: input {index} is computed ({operand.name!r}); "
                "only a parameter is supported there."
            )
        dtype = dtype or self.tensor().dtype
        if operand.array.shape != shape or operand.array.dtype != dtype:
            actual = f"{operand.array.dtype} {operand.array.shape}"
            raise self.malformed(f"parameter {operand.name!r} is {actual}; expected {dtype} {shape}")
        return operand

    def constant(self, step: str, array: NDArray[Any]) -> Constant:
        """A number of this node's own, named after it."""
        return self.graph.constant(f"{self.name}/{step}", array)

    def number(self, step: str, value: float) -> Constant:
        """A real number, of the type of input 0; in float16 one beyond 65,504 is infinite, as in MXNet."""
        with np.errstate(over="ignore"):
            return self.constant(step, np.array(value, self.tensor().dtype))

    def integers(self, step: str, *numbers: int) -> Constant:
        """Axes, sizes or positions, as ONNX takes them: int64."""
        return self.constant(step, np.array(numbers, np.int64))

    def emit(
        self,
        op: str,
        inputs: tuple[Operand, ...],
        row: Shape,
        attrs: Attributes | None = None,
        step: str = "",
        dtype: np.dtype[Any] | None = None,
    ) -> Tensor:
        """Append an ONNX node.

        Parameters
        ----------
        op : str
            ONNX's operator.
        inputs : tuple of Tensor or Constant
        row : tuple of int
            Shape of the output without N.
        attrs : dict, optional
        step : str
            What this node does if it is not the last of several: it is named ``<node>/<step>``. Without it, the
            node and its output carry MXNet's name.
        dtype : dtype, optional
            Of the output; that of the first tensor among the inputs if not given.
        """
        name = f"{self.name}/{step}" if step else self.name
        return self.graph.add(op, name, inputs, row, attrs, dtype=dtype)
