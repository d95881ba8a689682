"""The ONNX graph under construction: nodes, constants, and the shape of every tensor."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from export.errors import BatchAxisError, MalformedModelError
from export.graph.shape import Batch, BatchShape, N, Shape, Size, row_elements

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

MAX_ROW_ELEMENTS = 2**28  # 1 GiB of float32 for one image

FLOAT32, FLOAT16, FLOAT64 = np.dtype(np.float32), np.dtype(np.float16), np.dtype(np.float64)
INT32, INT64, BOOL = np.dtype(np.int32), np.dtype(np.int64), np.dtype(np.bool_)
ONNX_TYPES = {  # TensorProto.DataType
    **{FLOAT32: 1, FLOAT16: 10, FLOAT64: 11, INT64: 7, BOOL: 9},
    **{INT32: 6, np.dtype(np.int8): 3, np.dtype(np.uint8): 2},
}
Attributes = dict[str, Any]  # what onnx.helper.make_node takes: int, float, str or a list of them


@dataclass(frozen=True)
class Tensor:
    """A value that the model computes.

    Parameters
    ----------
    name : str
        Unique in the graph.
    shape : tuple
        Sizes of the axes: numbers, or multiples of the batch size. Most tensors are (N, C, H, W).
    dtype : dtype
        Type of the elements.
    """

    name: str
    shape: BatchShape
    dtype: np.dtype[Any] = FLOAT32

    @property
    def row(self) -> Shape:
        """Shape for one image, without the first axis.

        Raises
        ------
        BatchAxisError
            If it has only one axis, or an axis other than the first grows with the batch.
        """
        row = tuple(size for size in self.shape[1:] if not isinstance(size, Batch))
        if not row or len(row) + 1 != len(self.shape):
            raise BatchAxisError(
                f"its input {self.name!r} is {self.shape}; expected (N, C, ...), with the batch as the first axis"
            )
        return row


@dataclass(frozen=True)
class Constant:
    """A parameter of the network, or an array that a translator or a pass makes."""

    name: str
    array: NDArray[Any]

    @property
    def dtype(self) -> np.dtype[Any]:
        """The type of the array's elements."""
        return self.array.dtype


Operand = Tensor | Constant
NOTHING = Tensor("", ())  # an optional ONNX input that is left out


@dataclass(frozen=True)
class GraphNode:
    """One ONNX node."""

    op: str
    name: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attrs: Attributes


def check_size(where: str, shape: BatchShape) -> None:
    """Raise `MalformedModelError` unless an output has elements, and not too many for one image."""
    if row_elements(shape) > MAX_ROW_ELEMENTS or row_elements(shape) < 1:
        raise MalformedModelError(
            f"{where}: its output for one image would have the shape {shape[1:]}; expected 1 to {MAX_ROW_ELEMENTS:,} "
            "numbers."
        )


class Graph:
    """A graph to which translators append nodes, and which passes rewrite.

    Parameters
    ----------
    inputs : sequence of Tensor
        The network's inputs; one, the images, for most networks.
    outputs : sequence of str
        Names of the network's outputs.
    batch : int or Batch
        The batch size, used where a symbol leaves it open, such as in the shape of an initial state.

    Attributes
    ----------
    inputs : list of Tensor
        The network's inputs.
    outputs : list of str
        Names of the network's outputs.
    nodes : list of GraphNode
        In topological order.
    constants : dict
        Name -> array, for every constant that a node takes.
    tensors : dict
        Name -> tensor, the inputs included.
    """

    def __init__(self, inputs: Sequence[Tensor] = (), outputs: Sequence[str] = (), batch: Size = N) -> None:
        self.nodes: list[GraphNode] = []
        self.constants: dict[str, NDArray[Any]] = {}
        self.batch = batch
        self.inputs = list(inputs)
        self.outputs = list(outputs)
        self.tensors = {tensor.name: tensor for tensor in inputs}
        self._names = {*self.tensors, *outputs}

    @property
    def input(self) -> Tensor:
        """The only input. Networks for images have just one."""
        (images,) = self.inputs
        return images

    def claim(self, name: str) -> str:
        """Reserve ``name``, lengthened if it is taken, for a new tensor or constant."""
        while name in self._names:
            name += "_"
        self._names.add(name)
        return name

    def constant(self, name: str, array: NDArray[Any]) -> Constant:
        """Make a constant named ``name``, lengthened if that is taken. The first node that uses it adds it."""
        return Constant(self.claim(name), array)

    def as_tensor(self, constant: Constant) -> Tensor:
        """Let nodes take a constant as they take tensors."""
        self.constants[constant.name] = constant.array
        return Tensor(constant.name, constant.array.shape, constant.dtype)

    def add(
        self,
        op: str,
        name: str,
        inputs: tuple[Operand, ...],
        row: Shape,
        attrs: Attributes | None = None,
        *,
        dtype: np.dtype[Any] | None = None,
    ) -> Tensor:
        """Append a node with one output, whose first axis is that of the first tensor among the inputs."""
        first = next(operand for operand in inputs if isinstance(operand, Tensor))
        return self.add_shaped(op, name, inputs, (*first.shape[:1], *row), attrs, dtype=dtype)

    def add_shaped(
        self,
        op: str,
        name: str,
        inputs: tuple[Operand, ...],
        shape: BatchShape,
        attrs: Attributes | None = None,
        *,
        dtype: np.dtype[Any] | None = None,
    ) -> Tensor:
        """Append a node with one output.

        The output has the node's name. Its type is that of the first tensor among the inputs unless ``dtype`` is given.
        """
        check_size(f"{op} {name!r}", shape)
        taken = next((operand.dtype for operand in inputs if isinstance(operand, Tensor)), FLOAT32)
        output = Tensor(self.claim(name), shape, dtype or taken)
        self.produce(output, op, name, inputs, attrs)
        return output

    def cast(self, data: Tensor, dtype: np.dtype[Any], name: str) -> Tensor:
        """Append a cast."""
        output = Tensor(self.claim(name), data.shape, dtype)
        self.cast_to(output, data, name)
        return output

    def cast_to(self, output: Tensor, data: Tensor, name: str) -> None:
        """Append a cast to the type of ``output``, whose name is already claimed."""
        self.produce(output, "Cast", name, (data,), {"to": ONNX_TYPES[output.dtype]})

    def produce(
        self, output: Tensor, op: str, name: str, inputs: tuple[Operand, ...], attrs: Attributes | None = None
    ) -> None:
        """Append a node for an output whose name is already claimed."""
        self.produce_several((output,), op, name, inputs, attrs)

    def produce_several(
        self,
        outputs: tuple[Tensor, ...],
        op: str,
        name: str,
        inputs: tuple[Operand, ...],
        attrs: Attributes | None = None,
    ) -> None:
        """Append a node for outputs whose names are already claimed."""
        self.constants.update({operand.name: operand.array for operand in inputs if isinstance(operand, Constant)})
        self.tensors.update({output.name: output for output in outputs})
        names = tuple(output.name for output in outputs)
        self.nodes.append(GraphNode(op, name, tuple(operand.name for operand in inputs), names, attrs or {}))

    def finish(self, heads: Sequence[Tensor]) -> None:
        """Rename the network's output tensors to the names in `outputs`. A tensor may be several outputs."""
        first: dict[str, str] = {}
        for head, name in zip(heads, self.outputs, strict=True):
            if head.name in first:
                again = self.tensors[first[head.name]]
                self.produce(Tensor(name, again.shape, again.dtype), "Identity", name, (again,))
            else:
                self.rename(head.name, name)
                first[head.name] = name

    def rename(self, old: str, new: str) -> None:
        """Rename a tensor and every use of it."""

        def renamed(names: tuple[str, ...]) -> tuple[str, ...]:
            return tuple(new if name == old else name for name in names)

        self.nodes = [replace(node, inputs=renamed(node.inputs), outputs=renamed(node.outputs)) for node in self.nodes]
        self.tensors[new] = replace(self.tensors.pop(old), name=new)

    def uses(self) -> Counter[str]:
        """Count how often each tensor or constant is used, by nodes or as an output of the network."""
        return Counter(self.outputs) + Counter(name for node in self.nodes for name in node.inputs)

    def drop_unused(self) -> None:
        """Remove nodes and constants that no output depends on."""
        needed = set(self.outputs)
        kept = []
        for node in reversed(self.nodes):
            if needed.intersection(node.outputs):
                needed.update(node.inputs)
                kept.append(node)
            else:
                for name in node.outputs:
                    del self.tensors[name]
        self.nodes = kept[::-1]
        uses = self.uses()
        self.constants = {name: array for name, array in self.constants.items() if name in uses}

    def constant_bytes(self) -> int:
        """Return the size of all constants."""
        return sum(array.nbytes for array in self.constants.values())
