"""Cases of operators on several inputs of any shape and type, with the batch on any axis."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import onnx
import onnxruntime

from export.graph.model import build_model
from export.graph.shape import Batch, N
from export.passes.optimize import optimize
from export.reader.symbol import parse_symbol
from export.translate import translate
from tests.export.mxnet_files import Net

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from export.graph.graph import Graph
    from export.graph.shape import BatchShape, Size

Arrays = dict[str, np.ndarray]


def normal(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    return rng.normal(size=shape).astype(np.float32)


def whole(low: int, high: int, dtype: str = "float32") -> Callable[..., np.ndarray]:
    """Make whole numbers from ``low`` to ``high``, both included."""
    return lambda rng, shape: rng.integers(low, high + 1, shape).astype(dtype)


@dataclass(frozen=True)
class Given:
    """An input of a network."""

    shape: BatchShape
    values: Callable[..., np.ndarray] = normal

    def array(self, rng: np.random.Generator, n: int) -> np.ndarray:
        return self.values(rng, tuple(size.times * n if isinstance(size, Batch) else size for size in self.shape))


@dataclass(frozen=True)
class ArrayCase:
    """One operator; ``oracle(*operands)`` is its output, or a tuple of its outputs.

    ``then`` is an operator on its output and the first input, for outputs that are constants.
    """

    op: str
    note: str
    operands: dict[str, Given | np.ndarray]
    oracle: Callable[..., np.ndarray | tuple[np.ndarray, ...]]
    attrs: dict[str, str] = field(default_factory=dict)
    outputs: int = 1
    then: str | None = None
    takes: Sequence[str] | None = None  # the operator's operands; the default is all of them

    @property
    def givens(self) -> dict[str, Given]:
        return {name: operand for name, operand in self.operands.items() if isinstance(operand, Given)}

    def net(self) -> Net:
        net = Net()
        indices = {
            name: net.variable(name, operand if isinstance(operand, np.ndarray) else None)
            for name, operand in self.operands.items()
        }
        taken = list(self.operands) if self.takes is None else self.takes
        tested = net.op(self.op, "tested", [indices[name] for name in taken], self.attrs)
        if self.then:
            net.op(self.then, "last", [indices[next(iter(self.operands))], tested])
        net.heads = [[len(net.nodes) - 1, output, 0] for output in range(self.outputs)]
        return net

    def feeds(self, n: int) -> Arrays:
        rng = np.random.default_rng(n)
        return {name: given.array(rng, n) for name, given in self.givens.items()}

    def expected(self, feeds: Arrays) -> tuple[np.ndarray, ...]:
        operands = [feeds[name] if name in feeds else self.operands[name] for name in self.operands]
        outputs = self.oracle(*operands)
        return outputs if isinstance(outputs, tuple) else (outputs,)

    def graph(self, net: Net | None = None, shapes: dict[str, BatchShape] | None = None, batch: Size = N) -> Graph:
        net = net or self.net()
        given = shapes or {name: given.shape for name, given in self.givens.items()}
        types = {name: array.dtype for name, array in self.feeds(1).items()}
        symbol = parse_symbol(net.symbol_bytes(), "net")
        return optimize(translate(symbol, net.params, given, "net", dtypes=types, batch=batch))


def run_graph(graph: Graph, feeds: Arrays, opset: int = 17) -> list[np.ndarray]:
    model = build_model(graph, opset)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return session.run(None, feeds)


def contradictions(graph: Graph) -> list[str]:
    """Compare the sizes that ONNX infers with those of the graph."""
    model = onnx.shape_inference.infer_shapes(build_model(graph, 17), strict_mode=True, data_prop=True)
    wrong = []
    for info in [*model.graph.input, *model.graph.value_info, *model.graph.output]:
        inferred = [dim.dim_value for dim in info.type.tensor_type.shape.dim]
        shape = graph.tensors[info.name].shape
        known = [0 if isinstance(size, Batch) else size for size in shape]
        if len(inferred) != len(known) or any(a and b and a != b for a, b in zip(inferred, known, strict=True)):
            wrong.append(f"{info.name}: {shape}, ONNX infers {inferred}")
    return wrong
