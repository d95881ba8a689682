from __future__ import annotations

import numpy as np
import pytest

from tests.export.mxnet_files import Net
from tests.export.ops_runner import run_onnx, translate_net

ROW = (4, 3, 2)
IMAGES = np.random.default_rng(0).normal(0, 6, (2, *ROW)).astype(np.float32)


def net_of(*steps: tuple[str, dict[str, str]]) -> Net:
    net = Net()
    node = net.variable("data")
    for number, (op, attrs) in enumerate(steps):
        node = net.op(op, f"step{number}", [node], attrs)
    net.op("Flatten", "flat", [node])
    return net


RELU = ("Activation", {"act_type": "relu"})


@pytest.mark.parametrize(
    ("steps", "expected", "ops"),
    [
        ((RELU, ("_minimum_scalar", {"scalar": "6"})), IMAGES.clip(0, 6), ["Clip", "Flatten"]),
        ((RELU, ("_minimum_scalar", {"scalar": "0"})), IMAGES * 0, ["Clip", "Flatten"]),
        ((RELU, ("_minimum_scalar", {"scalar": "-1"})), IMAGES * 0 - 1, ["Relu", "Min", "Flatten"]),
        ((RELU, ("_maximum_scalar", {"scalar": "2"})), IMAGES.clip(2), ["Relu", "Max", "Flatten"]),
        ((("_minimum_scalar", {"scalar": "6"}),), np.minimum(IMAGES, 6), ["Min", "Flatten"]),
        ((("_minimum_scalar", {"scalar": "6"}), RELU), IMAGES.clip(0, 6), ["Min", "Relu", "Flatten"]),
    ],
)
def test_only_a_relu_below_a_number_becomes_a_clip(
    steps: tuple[tuple[str, dict[str, str]], ...], expected: np.ndarray, ops: list[str]
) -> None:
    graph = translate_net(net_of(*steps), ROW)
    assert [node.op for node in graph.nodes] == ops
    np.testing.assert_array_equal(run_onnx(graph, IMAGES), expected.reshape(2, -1))


def test_a_relu_that_others_read_stays() -> None:
    net = Net()
    relu = net.op("Activation", "relu", [net.variable("data")], {"act_type": "relu"})
    small = net.op("_minimum_scalar", "small", [relu], {"scalar": "6"})
    net.op("Flatten", "flat", [net.op("elemwise_add", "sum", [relu, small])])
    graph = translate_net(net, ROW)
    assert sorted(node.op for node in graph.nodes) == ["Add", "Clip", "Flatten", "Relu"]
    expected = np.maximum(IMAGES, 0) + IMAGES.clip(0, 6)
    np.testing.assert_allclose(run_onnx(graph, IMAGES), expected.reshape(2, -1), rtol=1e-6)
