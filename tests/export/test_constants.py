"""What depends on parameters alone is computed at export."""

from __future__ import annotations

import numpy as np

from tests.export.mxnet_files import Net
from tests.export.ops_runner import run_onnx, translate_net

ROW = (3, 4, 5)
RNG = np.random.default_rng(0)
IMAGES = RNG.normal(size=(2, *ROW)).astype(np.float32)
WEIGHT = RNG.normal(size=(6, 60)).astype(np.float32)


def weight_normalized() -> Net:
    """A dense layer whose weight is the unit rows of a parameter, as in margin heads."""
    net = Net()
    data = net.variable("data")
    unit = net.op("L2Normalization", "unit_weight", [net.variable("raw", WEIGHT)])
    doubled = net.op("_mul_scalar", "doubled", [unit], {"scalar": "2"})
    net.op("FullyConnected", "fc", [data, doubled], {"num_hidden": "6", "no_bias": "True"})
    return net


def test_a_computed_weight_becomes_a_constant() -> None:
    graph = translate_net(weight_normalized(), ROW)
    assert [node.op for node in graph.nodes] == ["Flatten", "Gemm"]
    assert len(graph.constants) == 1
    weight = 2 * WEIGHT / np.linalg.norm(WEIGHT.astype(np.float64), axis=1, keepdims=True)
    np.testing.assert_allclose(run_onnx(graph, IMAGES), IMAGES.reshape(2, -1) @ weight.T, rtol=1e-5, atol=1e-5)


def test_a_parameter_cut_to_the_size_of_an_image() -> None:
    """As detectors cut their anchors: the second input gives only its shape."""
    anchors = RNG.normal(size=(1, 3, 9, 9)).astype(np.float32)
    net = Net()
    data = net.variable("data")
    cut = net.op("slice_like", "cut", [net.variable("anchors", anchors), data], {"axes": "(2, 3)"})
    net.op("Flatten", "flat", [net.op("broadcast_add", "sum", [data, cut])])
    graph = translate_net(net, ROW)
    assert [node.op for node in graph.nodes] == ["Add", "Flatten"]
    np.testing.assert_allclose(run_onnx(graph, IMAGES), (IMAGES + anchors[:, :, :4, :5]).reshape(2, -1), rtol=1e-6)


def test_a_parameter_that_several_nodes_take_is_kept() -> None:
    raw = RNG.normal(size=(1, 3, 1, 1)).astype(np.float32)
    net = Net()
    data, offset = net.variable("data"), net.variable("offset", raw)
    first = net.op("broadcast_add", "first", [data, net.op("square", "squared", [offset])])
    net.op("Flatten", "flat", [net.op("broadcast_mul", "second", [first, offset])])
    np.testing.assert_allclose(
        run_onnx(translate_net(net, ROW), IMAGES), ((IMAGES + raw**2) * raw).reshape(2, -1), rtol=1e-5
    )
