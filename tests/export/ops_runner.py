"""Translate a small network and run it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import onnx
import onnxruntime
from onnx.reference import ReferenceEvaluator

from export.graph.model import build_model
from export.graph.shape import N
from export.passes.optimize import optimize
from export.reader.params import parse_params
from export.reader.symbol import parse_symbol
from export.translate import translate

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np

    from export.graph.graph import Graph
    from export.graph.shape import BatchShape
    from tests.export.mxnet_files import Net


def translate_net(net: Net, row: tuple[int, ...]) -> Graph:
    symbol = parse_symbol(net.symbol_bytes(), "net")
    return optimize(translate(symbol, net.params, images(row), "net", outputs=("embedding",)))


def translate_any(net: Net, row: tuple[int, ...]) -> Graph:
    """With outputs of any shape, under MXNet's names."""
    return optimize(translate(parse_symbol(net.symbol_bytes(), "net"), net.params, images(row), "net"))


def translate_files(symbol: Path, params: Path, row: tuple[int, ...]) -> Graph:
    arrays = parse_params(params.read_bytes(), str(params))
    return optimize(translate(parse_symbol(symbol.read_bytes(), str(symbol)), arrays, images(row), str(symbol)))


def images(row: tuple[int, ...]) -> dict[str, BatchShape]:
    """The one input, with one row per image."""
    return {"data": (N, *row)}


def run_onnx(graph: Graph, images: np.ndarray, opset: int = 17) -> np.ndarray:
    return run_all(graph, images, opset)[0]


def run_all(graph: Graph, images: np.ndarray, opset: int = 17) -> list[np.ndarray]:
    model = build_model(graph, opset)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return session.run(None, {graph.input.name: images})


def run_reference(graph: Graph, images: np.ndarray, opset: int) -> np.ndarray:
    """onnx's own evaluator, for opsets that onnxruntime does not know yet."""
    return ReferenceEvaluator(build_model(graph, opset)).run(None, {"data": images})[0]


def rows(graph: Graph) -> dict[str, Any]:
    return {name: tensor.shape[1:] for name, tensor in graph.tensors.items()}


def inferred_rows(graph: Graph) -> dict[str, Any]:
    """Shape without N of every tensor, as ONNX infers it."""
    model = onnx.shape_inference.infer_shapes(build_model(graph, 17), strict_mode=True, data_prop=True)
    infos = [*model.graph.input, *model.graph.value_info, *model.graph.output]
    return {info.name: tuple(dim.dim_value for dim in info.type.tensor_type.shape.dim[1:]) for info in infos}
