"""The ONNX graph under construction: nodes, constants, and the shape of every tensor."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from export.errors import MalformedModelError
from gluon_lifted.contract import IMAGE_INPUT

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

MAX_ROW_ELEMENTS = 2**28  # 1 GiB of float32 for one image

Shape = tuple[int, ...]
FLOAT32, FLOAT16 = np.dtype(np.float32), np.dtype(np.float16)
ONNX_TYPES = {FLOAT32: 1, FLOAT16: 10}  # TensorProto.DataType
Attributes = dict[str, Any]  # what onnx.helper.make_node takes: int, float, str or a list of them


@dataclass(frozen=True)
class Tensor:
    """A value computed from the images, with shape (N, *row): one row per image, for any N."""

    name: str
    row: Shape
    dtype: np.dtype[Any] = FLOAT32


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


class Graph:
    """A graph to which translators append nodes, and which passes rewrite.

    Parameters
    ----------
    row : tuple of int
        Shape of one input image: (3, H, W).
    input_name : str
        Name of the images' tensor.
    outputs : sequence of str
        Names of the network's outputs.
    dtype : dtype
        Type of the images.

    Attributes
    ----------
    input : Tensor
        The images.
    outputs : list of str
        Names of the network's outputs.
    nodes : list of GraphNode
        In topological order.
    constants : dict
        Name -> array, for every constant that a node takes.
    tensors : dict
        Name -> tensor, the images included.
    """

    def __init__(
        self, row: Shape, input_name: str = IMAGE_INPUT, outputs: Sequence[str] = (), dtype: np.dtype[Any] = FLOAT32
    ) -> None:
        self.nodes: list[GraphNode] = []
        self.constants: dict[str, NDArray[Any]] = {}
        self.input = Tensor(input_name, row, dtype)
        self.outputs = list(outputs)
        self.tensors = {input_name: self.input}
        self._names = {input_name, *outputs}

    def claim(self, name: str) -> str:
        """Reserve ``name``, lengthened if it is taken, for a new tensor or constant."""
        while name in self._names:
            name += "_"
        self._names.add(name)
        return name

    def constant(self, name: str, array: NDArray[Any]) -> Constant:
        """Make a constant named ``name``, lengthened if that is taken. The first node that uses it adds it."""
        return Constant(self.claim(name), array)

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
        """Append a node with one output.

        The output has the node's name. Its type is that of the first tensor among the inputs unless ``dtype`` is given.
        """
        if math.prod(row) > MAX_ROW_ELEMENTS or min(row, default=1) < 1:
            raise MalformedModelError(f"{op} {name!r}: its output for one image would have the shape {row}.")
        taken = next(operand.dtype for operand in inputs if isinstance(operand, Tensor))
        output = Tensor(self.claim(name), row, dtype or taken)
        self.produce(output, op, name, inputs, attrs)
        return output

    def cast(self, data: Tensor, dtype: np.dtype[Any], name: str) -> Tensor:
        """Append a cast to float32 or float16."""
        output = Tensor(self.claim(name), data.row, dtype)
        self.cast_to(output, data, name)
        return output

    def cast_to(self, output: Tensor, data: Tensor, name: str) -> None:
        """Append a cast to the type of ``output``, whose name is already claimed."""
        self.produce(output, "Cast", name, (data,), {"to": ONNX_TYPES[output.dtype]})

    def produce(
        self, output: Tensor, op: str, name: str, inputs: tuple[Operand, ...], attrs: Attributes | None = None
    ) -> None:
        """Append a node for an output whose name is already claimed."""
        self.constants.update({operand.name: operand.array for operand in inputs if isinstance(operand, Constant)})
        self.tensors[output.name] = output
        self.nodes.append(GraphNode(op, name, tuple(operand.name for operand in inputs), (output.name,), attrs or {}))

    def finish(self, heads: Sequence[Tensor]) -> None:
        """Rename the network's output tensors to the names in `outputs`."""
        for head, name in zip(heads, self.outputs, strict=True):
            self.rename(head.name, name)

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
