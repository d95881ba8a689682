"""The interface of translators: an MXNet node with translated inputs, and methods that append ONNX nodes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from export.errors import MalformedModelError, UnsupportedOpError
from export.graph.graph import (
    BOOL,
    Attributes,
    Constant,
    Graph,
    Operand,
    Tensor,
    check_size,
)
from export.graph.shape import Batch

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from export.graph.attributes import Attrs
    from export.graph.shape import BatchShape, Shape


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
        """Make the error for a node that MXNet could not run either. ``problem`` is a sentence without its period."""
        return MalformedModelError(f"{self.op} {self.name!r}: {problem}.")

    def expect_inputs(self, count: int) -> None:
        """Raise `MalformedModelError` unless the node has ``count`` inputs."""
        if len(self.inputs) != count:
            raise self.malformed(f"it has {len(self.inputs)} inputs; expected {count}")

    def tensor(self, index: int = 0) -> Tensor:
        """Return input ``index``. A parameter becomes a tensor whose sizes are numbers."""
        operand = self.inputs[index]
        return self.graph.as_tensor(operand) if isinstance(operand, Constant) else operand

    def shape(self, index: int = 0) -> BatchShape:
        """Return the shape of input ``index``."""
        operand = self.inputs[index]
        return operand.array.shape if isinstance(operand, Constant) else operand.shape

    def require_one_type(self, *operands: Operand) -> None:
        """Raise `MalformedModelError` unless all operands have the same type."""
        if len({operand.dtype for operand in operands}) > 1:
            raise self.malformed(
                f"its inputs are {' and '.join(str(operand.dtype) for operand in operands):.80}; expected one type"
            )

    def image(self) -> tuple[Tensor, int, int, int]:
        """Return input 0, which must be (N, C, H, W), and C, H, W."""
        data = self.tensor()
        if len(data.row) != 3:
            raise self.malformed(
                f"its input is (N, {', '.join(map(str, data.row))}); expected (N, C, H, W). Check --shape"
            )
        channels, height, width = data.row
        return data, channels, height, width

    def axis(self, name: str, default: int | None = None) -> int:
        """Parse an axis of input 0, which must not be the batch axis. Negative values count from the end."""
        value = self.attrs.integer(name, default, minimum=-8)
        axis = value + len(self.shape()) if value < 0 else value
        if axis not in self.inner_axes():
            raise self.attrs.unsupported(name, value, self.expected_axes())
        return axis

    def length(self, axis: int) -> int:
        """Return the length of an axis of input 0 that is not the batch axis."""
        size = self.shape()[axis]
        if isinstance(size, Batch):
            raise UnsupportedOpError(
                f"{self.op} {self.name!r}: axis {axis} of its input {self.shape()} is the batch; expected another axis."
            )
        return size

    def inner_axes(self) -> list[int]:
        """Return the axes of input 0 that do not grow with the batch."""
        return [axis for axis, size in enumerate(self.shape()) if not isinstance(size, Batch)]

    def expected_axes(self) -> str:
        """Describe `inner_axes` for a message."""
        axes = self.inner_axes()
        consecutive = len(axes) > 1 and axes == list(range(axes[0], axes[-1] + 1))
        batch = [str(axis) for axis, size in enumerate(self.shape()) if isinstance(size, Batch)]
        note = f"; axis {', '.join(batch)} is the batch" if batch else ""
        listed = f"{axes[0]} to {axes[-1]}" if consecutive else str(axes)
        return listed + note

    def parameter(self, index: int, shape: Shape, dtype: np.dtype[Any] | None = None) -> Constant:
        """Return input ``index``, which must be a parameter of that shape. The default type is that of input 0."""
        operand = self.inputs[index]
        if not isinstance(operand, Constant):
            raise UnsupportedOpError(
                f"{self.op} {self.name!r}: input {index}, {operand.name!r}, is computed by the network; expected a "
                "parameter."
            )
        dtype = dtype or self.tensor().dtype
        if operand.array.shape != shape or operand.array.dtype != dtype:
            actual = f"{operand.array.dtype} {operand.array.shape}"
            raise self.malformed(
                f"parameter {operand.name!r} is {actual}; expected {dtype} {shape}. Check --shape, and that the two "
                "files were saved together"
            )
        return operand

    def constant(self, step: str, array: NDArray[Any]) -> Constant:
        """Add an array that belongs to this node, named ``<node>/<step>``."""
        return self.graph.constant(f"{self.name}/{step}", array)

    def number(self, step: str, value: float, dtype: np.dtype[Any] | None = None) -> Constant:
        """Add a number of a type, by default that of input 0. Messages name the attribute ``step`` as its source.

        Integers drop the fraction. In float16, numbers beyond 65,504 become infinite. MXNet does both.
        """
        dtype = dtype or self.inputs[0].dtype
        if dtype == BOOL and value not in (0, 1):
            raise self.attrs.unsupported(step, value, "0 or 1 for truth values")
        if dtype.kind in "iu" and not np.iinfo(dtype).min <= int(value) <= np.iinfo(dtype).max:
            limits = f"{np.iinfo(dtype).min} to {np.iinfo(dtype).max}"
            raise self.attrs.unsupported(step, value, f"{limits}, as its input is {dtype}")
        with np.errstate(over="ignore"):
            return self.constant(step, np.array(value if dtype.kind == "f" else int(value), dtype))

    def real_tensor(self) -> Tensor:
        """Return input 0, which must hold real numbers, because MXNet rounds results for integers."""
        data = self.tensor()
        if data.dtype.kind != "f":
            raise UnsupportedOpError(
                f"{self.op} {self.name!r}: its input is {data.dtype}; expected real numbers. Cast it to float32 in the "
                "network."
            )
        return data

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
        """Append an ONNX node whose output has one row per row of its first tensor.

        Parameters
        ----------
        op : str
            ONNX's operator.
        inputs : tuple of Tensor or Constant
            In ONNX's order.
        row : tuple of int
            Shape of the output without its first axis.
        attrs : dict, optional
            ONNX's attributes.
        step : str
            Suffix of the name, ``<node>/<step>``, unless the ONNX node is the last of the MXNet node: that one and its
            output get MXNet's name.
        dtype : dtype, optional
            Type of the output. The default is that of the first tensor among the inputs.
        """
        return self.graph.add(op, self._named(step), inputs, row, attrs, dtype=dtype)

    def emit_shaped(
        self,
        op: str,
        inputs: tuple[Operand, ...],
        shape: BatchShape,
        attrs: Attributes | None = None,
        step: str = "",
        dtype: np.dtype[Any] | None = None,
    ) -> Tensor:
        """Append an ONNX node as `emit` does, for an output whose entire shape is given."""
        return self.graph.add_shaped(op, self._named(step), inputs, shape, attrs, dtype=dtype)

    def emit_like(
        self,
        data: Tensor,
        op: str,
        inputs: tuple[Operand, ...],
        attrs: Attributes | None = None,
        step: str = "",
        dtype: np.dtype[Any] | None = None,
    ) -> Tensor:
        """Append an ONNX node as `emit` does, for an output with the shape of ``data``."""
        return self.emit_shaped(op, inputs, data.shape, attrs, step, dtype)

    def emit_several(
        self,
        op: str,
        inputs: tuple[Operand, ...],
        outputs: Sequence[tuple[str, BatchShape, np.dtype[Any]]],
        attrs: Attributes | None = None,
        step: str = "",
    ) -> tuple[Tensor, ...]:
        """Append an ONNX node with several outputs. Each has a step for its name, ``<node>/<step>``, shape and type."""
        for _, shape, _ in outputs:
            check_size(self.attrs.where, shape)
        tensors = tuple(Tensor(self.graph.claim(self._named(suffix)), shape, dtype) for suffix, shape, dtype in outputs)
        self.graph.produce_several(tensors, op, self._named(step), inputs, attrs)
        return tensors

    def _named(self, step: str) -> str:
        return f"{self.name}/{step}" if step else self.name
