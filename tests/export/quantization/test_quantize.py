from __future__ import annotations

import numpy as np
import onnx
import onnxruntime
import pytest

from export.graph.model import build_model
from export.quantization.quantize import (
    QUANTIZED,
    coarse_sums,
    quantize,
    sensitive_nodes,
)
from export.quantization.ranges import METHODS, activation_ranges
from tests.export.mxnet_files import Net
from tests.export.networks import CROP, small_network, small_reference
from tests.export.ops_runner import translate_net

ROW = (3, CROP, CROP)


def small_model() -> onnx.ModelProto:
    return build_model(translate_net(small_network(), ROW), 17)


def run(model: onnx.ModelProto, images: np.ndarray) -> np.ndarray:
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return session.run(None, {"data": images})[0]


def kinds_of(model: onnx.ModelProto) -> dict[str, int]:
    return {value.name: value.data_type for value in model.graph.initializer}


@pytest.mark.parametrize("method", METHODS)
def test_weights_are_int8_and_the_embedding_stays_near(method: str) -> None:
    images = small_reference(small_network(), rows=40)["data"]
    model = small_model()
    quantized = quantize(model, activation_ranges(model, np.split(images[:30], 3), QUANTIZED, method), ["norm1/energy"])
    assert {value.name for value in quantized.graph.input} == {"data"}
    assert [value.name for value in quantized.graph.output] == ["embedding"]
    kinds = kinds_of(quantized)
    assert kinds["conv1_weight_quantized"] == kinds["fc_weight_quantized"] == onnx.TensorProto.INT8
    scales = {value.name: value.dims for value in quantized.graph.initializer}
    assert list(scales["conv1_weight_scale"]) == [4]  # one for each filter
    onnx.checker.check_model(quantized, full_check=True)
    single, int8 = run(model, images[30:]), run(quantized, images[30:])
    cosines = (single * int8).sum(axis=1) / np.linalg.norm(int8, axis=1)
    assert cosines.min() > 0.98
    assert cosines.max() < 1 - 1e-7  # it is not single precision


def test_nodes_that_are_kept_stay_in_single_precision() -> None:
    images = small_reference(small_network(), rows=20)["data"]
    model = small_model()
    assert sensitive_nodes(model) == ["fc", "unit/square"]
    kinds = kinds_of(quantize(model, activation_ranges(model, [images], QUANTIZED), sensitive_nodes(model)))
    assert kinds["fc_weight"] == onnx.TensorProto.FLOAT
    assert kinds["conv1_weight_quantized"] == onnx.TensorProto.INT8


def test_the_model_itself_is_left_alone() -> None:
    model = small_model()
    before = model.SerializeToString()
    quantize(model, activation_ranges(model, [small_reference(small_network())["data"]], QUANTIZED))
    assert model.SerializeToString() == before


def lrn_model(scale: float) -> tuple[onnx.ModelProto, list[np.ndarray]]:
    """conv - LRN - conv, whose energies go up to about 1 + scale."""
    rng = np.random.default_rng(0)
    net = Net()
    data = net.variable("data")
    weights = rng.normal(size=(8, 3, 1, 1)).astype(np.float32)
    attrs = {"kernel": "(1, 1)", "num_filter": "8", "no_bias": "True"}
    conv = net.op("Convolution", "first", [data, net.variable("w1", weights)], attrs)
    lrn = net.op("LRN", "norm", [conv], {"nsize": "3", "alpha": "1", "knorm": "1"})
    net.op("Convolution", "embedding", [lrn, net.variable("w2", rng.normal(size=(8, 8, 1, 1)).astype("f4"))], attrs)
    images = rng.uniform(-1, 1, size=(8, 3, 5, 5)).astype(np.float32) * np.sqrt(scale).astype(np.float32) / 2
    return build_model(translate_net(net, (3, 5, 5)), 17), [images]


@pytest.mark.parametrize(("scale", "coarse"), [(1.0, []), (1000.0, ["norm/square", "norm/energy"])])
def test_sums_of_squares_of_a_large_range_are_told(scale: float, coarse: list[str]) -> None:
    model, batches = lrn_model(scale)
    assert sensitive_nodes(model) == ["embedding"]
    ranges = activation_ranges(model, batches, QUANTIZED)
    quantized = quantize(model, ranges, sensitive_nodes(model))
    assert coarse_sums(model, quantized) == coarse
    kinds = kinds_of(quantized)
    assert kinds["norm/window_quantized"] == onnx.TensorProto.INT8
    kept = quantize(model, ranges, [*sensitive_nodes(model), *coarse])
    assert coarse_sums(model, kept) == []
    assert (kinds_of(kept).get("norm/window_quantized") is None) == bool(coarse)
