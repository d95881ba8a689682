from __future__ import annotations

import numpy as np
import onnx
import pytest

from export.external_data import external_tensors
from export.graph import model as model_module
from export.graph.graph import Tensor
from export.graph.model import MIN_EXTERNAL_BYTES, build_model
from gluon_lifted.errors import ConfigError
from tests.export.networks import CROP, small_network, small_reference
from tests.export.ops_runner import run_onnx, run_reference, translate_net

ROW = (3, CROP, CROP)
NEWEST = onnx.defs.onnx_opset_version()


@pytest.mark.parametrize("opset", range(13, 25))
def test_opset_in_onnxruntime(opset: int) -> None:
    net = small_network()
    reference = small_reference(net)
    actual = run_onnx(translate_net(net, ROW), reference["data"], opset)
    np.testing.assert_allclose(actual, reference["embedding"], atol=1e-6)


@pytest.mark.parametrize("opset", range(13, NEWEST + 1))
def test_opset_in_onnx_itself(opset: int) -> None:
    net = small_network()
    reference = small_reference(net, rows=2)
    actual = run_reference(translate_net(net, ROW), reference["data"], opset)
    np.testing.assert_allclose(actual, reference["embedding"], atol=1e-6)


def test_interface() -> None:
    model = build_model(translate_net(small_network(), ROW), 17)
    (data,), (embedding,) = model.graph.input, model.graph.output
    assert (data.name, embedding.name) == ("data", "embedding")
    assert [dim.dim_param or dim.dim_value for dim in data.type.tensor_type.shape.dim] == ["N", 3, CROP, CROP]
    assert [dim.dim_param or dim.dim_value for dim in embedding.type.tensor_type.shape.dim] == ["N", 6]
    assert (model.opset_import[0].version, model.ir_version) == (17, 8)
    assert model.producer_name == "gluon-lifted"


def test_opsets_of_onnxruntime_1_18_need_no_newer_ir() -> None:
    graph = translate_net(small_network(), ROW)
    assert build_model(graph, 13).ir_version == 7
    assert build_model(graph, 21).ir_version == 10


@pytest.mark.parametrize("opset", [12, NEWEST + 1, 0, -1])
def test_opset_that_is_not_available_is_refused(opset: int) -> None:
    with pytest.raises(ConfigError, match=f"opset is {opset}; expected 13 to {NEWEST}"):
        build_model(translate_net(small_network(), ROW), opset)


def test_large_constants_of_a_model_above_the_limit_are_only_named(monkeypatch: pytest.MonkeyPatch) -> None:
    graph = translate_net(small_network(), ROW)
    total = sum(array.nbytes for array in graph.constants.values())
    monkeypatch.setattr(model_module, "MAX_INLINE_BYTES", total)
    assert not external_tensors(build_model(graph, 17))
    monkeypatch.setattr(model_module, "MAX_INLINE_BYTES", total - 1)
    named = external_tensors(build_model(graph, 17))
    assert {tensor.name for tensor in named} == {
        name for name, array in graph.constants.items() if array.nbytes >= MIN_EXTERNAL_BYTES
    }
    assert "fc_weight" in {tensor.name for tensor in named}
    assert all(list(tensor.dims) == list(graph.constants[tensor.name].shape) for tensor in named)


def test_wrong_shape_within_the_graph_is_noticed() -> None:
    graph = translate_net(small_network(), ROW)
    graph.tensors["embedding"] = Tensor("embedding", (7,))
    with pytest.raises((AssertionError, onnx.shape_inference.InferenceError)):
        build_model(graph, 17)
