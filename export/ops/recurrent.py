"""RNN: Gluon's LSTM, GRU and RNN layers, with several layers and both directions in one operator."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from export.graph.graph import FLOAT32, INT32, NOTHING, Constant, Tensor
from export.graph.shape import Batch
from export.libraries import onnx
from export.ops._indices import limited, whole_numbers
from export.ops.registry import translates
from export.ops.reshape import reshaped

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from export.graph.graph import Attributes, Operand
    from export.graph.node import Node
    from export.graph.shape import BatchShape, Size

    Weights = list["NDArray[np.float32]"]

# MXNet's mode -> ONNX's operator, and where its gates are among MXNet's (``rnn_impl.h``)
MODES = {
    "lstm": ("LSTM", (0, 3, 1, 2)),  # i, f, g, o -> i, o, f, g
    "gru": ("GRU", (1, 0, 2)),  # r, z, n -> z, r, n
    "rnn_tanh": ("RNN", (0,)),
    "rnn_relu": ("RNN", (0,)),
}


@dataclass(frozen=True)
class _Kind:
    """What an RNN node computes."""

    mode: str
    units: int
    layers: int
    directions: int

    @property
    def gates(self) -> tuple[int, ...]:
        return MODES[self.mode][1]

    @property
    def num_states(self) -> int:
        return 2 if self.mode == "lstm" else 1

    def attrs(self) -> Attributes:
        attrs: Attributes = {"hidden_size": self.units}
        if self.directions == 2:
            attrs["direction"] = "bidirectional"
        if self.mode == "gru":
            attrs["linear_before_reset"] = 1
        if self.mode == "rnn_relu":
            attrs["activations"] = ["Relu"] * self.directions
        return attrs


@translates("RNN")
def rnn(node: Node) -> tuple[Tensor, ...]:
    """Compute (T, N, C) to (T, N, directions * units), and the last states of all layers and directions.

    MXNet uses the lengths of ``use_sequence_length`` on GPUs only. Its CPU computes all sequences to their end.
    """
    kind = _kind(node)
    uses_lengths = node.attrs.boolean("use_sequence_length", default=False)
    node.expect_inputs(2 + kind.num_states + uses_lengths)
    returns_states = node.attrs.boolean("state_outputs", default=False)
    data = node.tensor()
    if len(data.shape) != 3:
        raise node.malformed(f"its input is {data.shape}; expected (T, N, C)")
    batch, width = data.shape[1], node.length(2)
    node.length(0)
    lengths = _lengths(node, batch) if uses_lengths else NOTHING
    starts = [_start(node, 2 + state, kind, batch) for state in range(kind.num_states)]
    weights = _unpacked(node, kind, width)
    if data.dtype != FLOAT32:
        data = node.graph.cast(data, FLOAT32, f"{node.name}/single")
    ends: list[tuple[Tensor, ...]] = []
    for layer in range(kind.layers):
        states = [_of_layer(node, start, kind, layer, state) for state, start in enumerate(starts)]
        data, *last = _layer(node, kind, layer, data, (*_parameters(node, kind, layer, weights), lengths, *states))
        ends.append(tuple(last))
    outputs = [_typed(node, data, "output")]
    if returns_states:
        outputs += [_joined(node, [end[state] for end in ends], state) for state in range(kind.num_states)]
    return tuple(outputs)


def _kind(node: Node) -> _Kind:
    attrs = node.attrs
    attrs.ignore("p", "lstm_state_clip_nan")
    for name in ("projection_size", "lstm_state_clip_min", "lstm_state_clip_max"):
        attrs.choice(name, ("None",), "None")
    return _Kind(
        mode=attrs.choice("mode", tuple(MODES)),
        units=attrs.integer("state_size", minimum=1),
        layers=attrs.integer("num_layers", minimum=1),
        directions=2 if attrs.boolean("bidirectional", default=False) else 1,
    )


def _number(size: Size) -> int:
    return size.times if isinstance(size, Batch) else size


def _lengths(node: Node, batch: Size) -> Operand:
    index = len(node.inputs) - 1
    if node.shape(index) != (batch,):
        raise node.malformed(f"its lengths are {node.shape(index)}; expected ({batch},)")
    lengths = limited(node, whole_numbers(node, index, "whole_lengths"), 1, node.length(0))
    if isinstance(lengths, Constant):
        return node.constant("lengths", lengths.array.astype(np.int32))
    return node.graph.cast(lengths, INT32, f"{node.name}/lengths")


def _start(node: Node, index: int, kind: _Kind, batch: Size) -> Operand | None:
    """Return an initial state; None if it is 0, which is ONNX's default."""
    expected = (kind.layers * kind.directions, batch, kind.units)
    if node.shape(index) != expected:
        raise node.malformed(f"its state {node.inputs[index].name!r} is {node.shape(index)}; expected {expected}")
    operand = node.inputs[index]
    if isinstance(operand, Constant):
        return operand if operand.array.any() else None
    maker = next((made for made in node.graph.nodes if operand.name in made.outputs), None)
    if maker is not None and maker.op == "ConstantOfShape" and not onnx.numpy_helper.to_array(maker.attrs["value"]):
        return None
    return operand


def _of_layer(node: Node, start: Operand | None, kind: _Kind, layer: int, state: int) -> Operand:
    """Cut the initial states of one layer from the states of all layers."""
    if start is None:
        return NOTHING
    begin, end = layer * kind.directions, (layer + 1) * kind.directions
    if isinstance(start, Constant):
        return node.constant(f"layer{layer}_start{state}", start.array[begin:end].astype(np.float32))
    if start.dtype != FLOAT32:
        start = node.graph.cast(start, FLOAT32, f"{node.name}/layer{layer}_single{state}")
    if kind.layers == 1:
        return start
    ranges = (node.integers(name, number) for name, number in (("begin", begin), ("end", end), ("axis", 0)))
    shape = (kind.directions, *start.shape[1:])
    return node.emit_shaped("Slice", (start, *ranges), shape, step=f"layer{layer}_start{state}")


def _unpacked(node: Node, kind: _Kind, width: int) -> Weights:
    """Cut the vector of parameters: the weights of all layers, then all biases (``rnn-inl.h``: GetRnnParamSize)."""
    if kind.layers > math.prod(map(_number, node.shape(1))):  # before a list of all layers takes memory
        raise node.malformed(f"its parameters {node.shape(1)} are too few for {kind.layers:,} layers")
    rows = len(kind.gates) * kind.units
    shapes: list[tuple[int, ...]] = []
    for layer in range(kind.layers):
        inputs = width if layer == 0 else kind.units * kind.directions
        shapes += [(rows, inputs), (rows, kind.units)] * kind.directions
    shapes += [(rows,)] * (2 * kind.layers * kind.directions)
    sizes = [math.prod(shape) for shape in shapes]
    vector = node.parameter(1, (sum(sizes),)).array.astype(np.float32)
    parts = np.split(vector, np.cumsum(sizes)[:-1])
    return [part.reshape(shape) for part, shape in zip(parts, shapes, strict=True)]


def _parameters(node: Node, kind: _Kind, layer: int, weights: Weights) -> tuple[Constant, ...]:
    """Return W, R and B of a layer in ONNX's order of gates."""
    count, first = 2 * kind.directions, 2 * kind.directions * layer
    matrices = weights[first : first + count]
    biases = weights[2 * kind.layers * kind.directions :][first : first + count]

    def ordered(part: NDArray[np.float32]) -> NDArray[np.float32]:
        gates = np.split(part, len(kind.gates))
        return np.concatenate([gates[gate] for gate in kind.gates])

    stacks = {
        "W": [ordered(part) for part in matrices[::2]],
        "R": [ordered(part) for part in matrices[1::2]],
        "B": [np.concatenate([ordered(a), ordered(b)]) for a, b in zip(biases[::2], biases[1::2], strict=True)],
    }
    return tuple(node.constant(f"layer{layer}_{name}", np.stack(parts)) for name, parts in stacks.items())


def _layer(node: Node, kind: _Kind, layer: int, data: Tensor, operands: tuple[Operand, ...]) -> tuple[Tensor, ...]:
    """Append a layer; return its output (T, N, directions * units) and its last states."""
    (time, batch, _), directions = data.shape, kind.directions
    inputs = (data, *operands)
    while inputs[-1] is NOTHING:
        inputs = inputs[:-1]
    state: BatchShape = (directions, batch, kind.units)
    outputs = [(f"layer{layer}_Y", (time, *state), FLOAT32)]
    outputs += [(f"layer{layer}_Y{name}", state, FLOAT32) for name in ("h", "c")[: kind.num_states]]
    output, *last = node.emit_several(MODES[kind.mode][0], inputs, outputs, kind.attrs(), step=f"layer{layer}")
    order: BatchShape = (time, batch, directions, kind.units)
    if directions > 1:
        output = node.emit_shaped(
            "Transpose", (output,), order, {"perm": (0, 2, 1, 3)}, step=f"layer{layer}_by_sequence"
        )
    shape: BatchShape = (time, batch, directions * kind.units)
    step = f"layer{layer}_joined" if layer + 1 < kind.layers else ""
    return reshaped(node, shape, step, output), *last


def _joined(node: Node, states: list[Tensor], state: int) -> Tensor:
    """Join the last states of all layers."""
    step = ("state", "state_cell")[state]
    if len(states) > 1:
        shape = (sum(_number(part.shape[0]) for part in states), *states[0].shape[1:])
        return _typed(node, node.emit_shaped("Concat", tuple(states), shape, {"axis": 0}, step=f"{step}s"), step)
    return _typed(node, states[0], step)


def _typed(node: Node, data: Tensor, step: str) -> Tensor:
    """Return the type of the network's tensors."""
    dtype = node.tensor().dtype
    return data if data.dtype == dtype else node.graph.cast(data, dtype, f"{node.name}/{step}")
