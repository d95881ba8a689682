"""Networks in float16: MXNet runs them on GPUs alone, so they are compared with the same numbers in float64."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import onnx
import onnxruntime
import pytest

from export import N, NetworkInputs, export_network, export_run, verify_file
from export.errors import MalformedModelError, ParityError
from export.graph.graph import FLOAT16, FLOAT32
from gluon_lifted.contract import SavedNetwork
from tests.export.mxnet_files import Net, npz_bytes, write_run
from tests.export.networks import CROP, small_network, small_reference
from tests.export.ops_runner import run_onnx, run_reference, translate_net

if TYPE_CHECKING:
    from pathlib import Path

ROW = (3, CROP, CROP)
FLOAT, HALF = onnx.TensorProto.FLOAT, onnx.TensorProto.FLOAT16
INPUTS = NetworkInputs({"data": (N, *ROW)})


def half_network() -> tuple[Net, dict[str, np.ndarray]]:
    """The small network after ``cast("float16")``, which leaves batch norm in single, and what it should compute."""
    net = small_network()
    rounded = {name: array.astype(np.float16) for name, array in net.params.items() if not name.startswith("bn_")}
    net.params |= {name: array.astype(np.float32) for name, array in rounded.items()}
    reference = small_reference(net)
    net.params |= rounded
    return net, {name: array for name, array in reference.items() if not name.startswith("node/")}


@pytest.fixture
def files(tmp_path: Path) -> SavedNetwork:
    net, reference = half_network()
    halves = {name: array.astype(np.float16) for name, array in reference.items()}
    halves["unit_output"] = halves.pop("embedding")
    (tmp_path / "symbol.json").write_bytes(net.symbol_bytes())
    (tmp_path / "net.params").write_bytes(net.params_bytes())
    (tmp_path / "reference.npz").write_bytes(npz_bytes(halves))
    return SavedNetwork(tmp_path / "symbol.json", tmp_path / "net.params")


@pytest.mark.parametrize("opset", [13, 17, 24])
def test_network_stays_in_half_precision(opset: int) -> None:
    net, reference = half_network()
    graph = translate_net(net, ROW)
    assert graph.input.dtype == FLOAT16
    assert {graph.constants[name].dtype for name in net.params if name in graph.constants} == {FLOAT16}
    assert {"conv1_weight", "conv2_weight", "bn_beta", "fc_weight"} <= set(graph.constants)
    actual = run_onnx(graph, reference["data"].astype(np.float16), opset)
    assert actual.dtype == np.float16
    np.testing.assert_allclose(actual, reference["embedding"], atol=5e-3)


def test_onnx_itself_agrees() -> None:
    net, reference = half_network()
    actual = run_reference(translate_net(net, ROW), reference["data"].astype(np.float16), 17)
    np.testing.assert_allclose(actual, reference["embedding"], atol=5e-3)


def test_export_and_verify(files: SavedNetwork, tmp_path: Path) -> None:
    report = export_network(files, INPUTS, tmp_path / "net.onnx", reference=tmp_path / "reference.npz")
    assert report.parity is not None
    assert 0 < report.parity.max_abs_error < 5e-3
    assert verify_file(tmp_path / "net.onnx", tmp_path / "reference.npz") == report.parity
    with pytest.raises(ParityError, match="differs from MXNet"):
        verify_file(tmp_path / "net.onnx", tmp_path / "reference.npz", tolerance=1e-6)
    session = onnxruntime.InferenceSession(tmp_path / "net.onnx")
    assert [value.type for value in (*session.get_inputs(), *session.get_outputs())] == ["tensor(float16)"] * 2


def test_input_that_the_network_casts_is_single() -> None:
    """Mixed precision as AMP writes it: parameters in single, cast in the graph; they are stored as they are used."""
    net = Net()
    data = net.op("amp_cast", "half_data", [net.variable("data")], {"dtype": "float16"})
    weight = net.variable("weight", np.random.default_rng(0).normal(size=(4, 3, 3, 3)).astype(np.float32))
    half_weight = net.op("amp_cast", "weight_half", [weight], {"dtype": "float16"})
    conv = net.op(
        "Convolution", "conv", [data, half_weight], {"kernel": "(3, 3)", "num_filter": "4", "no_bias": "True"}
    )
    net.op("Cast", "single", [net.op("Flatten", "flat", [conv])], {"dtype": "float32"})
    graph = translate_net(net, ROW)
    assert [(node.op, node.name) for node in graph.nodes] == (
        [("Cast", "half_data"), ("Conv", "conv"), ("Flatten", "flat"), ("Cast", "single")]
    )
    assert {name: array.dtype for name, array in graph.constants.items()} == {"weight_half": FLOAT16}
    assert (graph.input.dtype, graph.tensors["embedding"].dtype) == (FLOAT32, FLOAT32)


def test_cast_images_of_half_weights_are_single() -> None:
    net = Net()
    half = net.op("Cast", "half", [net.variable("data")], {"dtype": "float16"})
    weight = net.variable("weight", np.ones((2, 27), np.float16))
    net.op("FullyConnected", "fc", [half, weight], {"num_hidden": "2", "no_bias": "True"})
    graph = translate_net(net, (3, 3, 3))
    assert (graph.input.dtype, graph.tensors["embedding"].dtype) == (FLOAT32, FLOAT16)


def test_a_run_in_half_precision_is_refused(tmp_path: Path) -> None:
    net, reference = half_network()
    with pytest.raises(MalformedModelError, match=r"takes float16 images; .* with --symbol and --params"):
        export_run(write_run(tmp_path / "run", net, reference), tmp_path / "model.onnx")


def test_images_and_weights_of_different_types_are_refused() -> None:
    net, _ = half_network()
    net.params["fc_weight"] = net.params["fc_weight"].astype(np.float32)
    with pytest.raises(MalformedModelError, match=r"parameter 'fc_weight' is float32 .*; expected float16"):
        translate_net(net, ROW)


def test_sum_of_two_types_is_refused() -> None:
    net = Net()
    data = net.variable("data")
    net.op("elemwise_add", "sum", [net.op("Cast", "half", [data], {"dtype": "float16"}), data])
    with pytest.raises(MalformedModelError, match="elemwise_add 'sum': its inputs are float16 and float32"):
        translate_net(net, ROW)
