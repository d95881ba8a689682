"""The interface of translators: an MXNet node with translated inputs, and methods that append ONNX nodes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

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
    from numpy.typing import NDArray

    from export.graph.attributes import Attrs


@dataclass(frozen=True)
class Node:
    """An MXNet node with translated inputs.

    Parameters
    ----------
    op, name : str
        MXNet's operator, and the name for the ONNX nodes.
    attrs : Attrs
        MXNet's attributes.
    inputs : tuple of Tensor or Constant
        Outputs of earlier nodes, parameters, or the images.
    graph : Graph
        Receives the ONNX nodes.
    """

    op: str
    name: str
    attrs: Attrs
    inputs: tuple[Operand, ...]
    graph: Graph

    def malformed(self, problem: str) -> MalformedModelError:
        """Make the error for a node that MXNet could not run either; ``problem`` is a sentence without its period."""
        return MalformedModelError(f"{self.op} {self.name!r}: {problem}.")

    def expect_inputs(self, count: int) -> None:
        """Raise `MalformedModelError` unless the node has ``count`` inputs."""
        if len(self.inputs) != count:
            raise self.malformed(f"{len(self.inputs)} inputs; expected {count}")

    def tensor(self, index: int = 0) -> Tensor:
        """Return input ``index``, which must be computed from the images."""
        operand = self.inputs[index]
        if isinstance(operand, Constant):
            raise UnsupportedOpError(
                f"{self.op} {self.name!r}: input {index} is the parameter {operand.name!r}; "
                "only tensors computed from the images are supported there."
            )
        return operand

    def require_one_type(self, *tensors: Tensor) -> None:
        """Raise `MalformedModelError` unless all tensors have the same type."""
        if len({tensor.dtype for tensor in tensors}) > 1:
            raise self.malformed(f"its inputs are {' and '.join(str(tensor.dtype) for tensor in tensors):.80}")

    def image(self) -> tuple[Tensor, int, int, int]:
        """Return input 0, which must be (N, C, H, W), and C, H, W."""
        data = self.tensor()
        if len(data.row) != 3:
            raise self.malformed(f"its input is (N, {', '.join(map(str, data.row))}); expected (N, C, H, W)")
        channels, height, width = data.row
        return data, channels, height, width

    def axis(self, name: str, default: int | None = None) -> int:
        """Parse an axis of input 0, which must not be the batch axis; negative values count from the end."""
        axes = len(self.tensor().row) + 1
        value = self.attrs.integer(name, default, minimum=-8)
        axis = value % axes if -axes <= value < axes else value
        if not 1 <= axis < axes:
            raise self.attrs.unsupported(name, value, f"1 to {axes - 1}; axis 0 is the batch")
        return axis

    def parameter(self, index: int, shape: Shape, dtype: np.dtype[Any] | None = None) -> Constant:
        """Return input ``index``, which must be a parameter of that shape. The default type is that of input 0."""
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
        """Add an array that belongs to this node, named ``<node>/<step>``."""
        return self.graph.constant(f"{self.name}/{step}", array)

    def number(self, step: str, value: float) -> Constant:
        """Add a real number of input 0's type. In float16, numbers beyond 65,504 become infinite, as in MXNet."""
        with np.errstate(over="ignore"):
            return self.constant(step, np.array(value, self.tensor().dtype))

    def integers(self, step: str, *numbers: int) -> Constant:
        """Add axes, sizes or indices, which ONNX takes as int64."""
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
            In ONNX's order.
        row : tuple of int
            Shape of the output without N.
        attrs : dict, optional
            ONNX's attributes.
        step : str
            Suffix of the name, ``<node>/<step>``, unless the ONNX node is the last of the MXNet node: that one and its
            output get MXNet's name.
        dtype : dtype, optional
            Type of the output. The default is that of the first tensor among the inputs.
        """
        name = f"{self.name}/{step}" if step else self.name
        return self.graph.add(op, name, inputs, row, attrs, dtype=dtype)
