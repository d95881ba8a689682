from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import onnx
import pytest

from export.quantization.amx_weights import offset_weights
from export.quantization.quantize import QUANTIZED, quantize, sensitive_nodes
from export.quantization.ranges import activation_ranges
from gluon_lifted.hardware.cpus import instruction_sets, sums_int8
from tests.export.networks import small_network, small_reference
from tests.export.quantization.test_quantize import run, small_model

if TYPE_CHECKING:
    from pathlib import Path

IMAGES = small_reference(small_network(), rows=20)["data"]


def arrays(model: onnx.ModelProto) -> dict[str, np.ndarray]:
    return {initializer.name: onnx.numpy_helper.to_array(initializer) for initializer in model.graph.initializer}


@pytest.fixture
def models(tmp_path: Path) -> tuple[onnx.ModelProto, onnx.ModelProto]:
    model = small_model()
    quantized = quantize(model, activation_ranges(model, [IMAGES], QUANTIZED), sensitive_nodes(model))
    onnx.save(quantized, tmp_path / "int8.onnx")
    offset_weights(tmp_path / "int8.onnx", tmp_path / "tiles.onnx")
    return quantized, onnx.load(tmp_path / "tiles.onnx")


def test_zero_points_move_with_the_weights(models: tuple[onnx.ModelProto, onnx.ModelProto]) -> None:
    before, after = map(arrays, models)
    for name in ("conv1_weight", "conv2_weight", "norm1/window"):
        weights, zero_points = after[f"{name}_quantized"], after[f"{name}_zero_point"]
        assert (zero_points == -1).all()
        assert (weights.astype(int) + 1 == before[f"{name}_quantized"]).all()
    changed = [name for name in before if not np.array_equal(before[name], after[name])]
    assert len(changed) == 6


@pytest.mark.skipif(
    not sums_int8(instruction_sets()), reason="without VNNI sums of int8 saturate, and differently in either kernel"
)
def test_outputs_are_the_same(models: tuple[onnx.ModelProto, onnx.ModelProto]) -> None:
    first, second = (run(model, IMAGES) for model in models)
    np.testing.assert_allclose(first, second, atol=1e-6)


def test_weights_that_have_no_room_stay(models: tuple[onnx.ModelProto, onnx.ModelProto], tmp_path: Path) -> None:
    tensor = next(tensor for tensor in models[0].graph.initializer if tensor.name == "conv1_weight_quantized")
    lowest = onnx.numpy_helper.to_array(tensor).copy()
    lowest.flat[0] = -128
    tensor.CopyFrom(onnx.numpy_helper.from_array(lowest, tensor.name))
    onnx.save(models[0], tmp_path / "low.onnx")
    offset_weights(tmp_path / "low.onnx", tmp_path / "out.onnx")
    weights = arrays(onnx.load(tmp_path / "out.onnx"))
    assert (weights["conv1_weight_quantized"] == lowest).all()
    assert (weights["conv1_weight_zero_point"] == 0).all()
    assert (weights["conv2_weight_zero_point"] == -1).all()
