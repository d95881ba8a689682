from __future__ import annotations

import numpy as np
import pytest

from export.graph.shape import N
from export.passes.optimize import optimize
from export.reader.symbol import parse_symbol
from export.translate import translate
from tests.export.mxnet_files import Net
from tests.export.ops_runner import run_onnx, translate_net

ROW = (4, 3, 5)
IMAGES = 10 * np.random.default_rng(0).normal(size=(3, *ROW)).astype(np.float32)


def prelu_net(slopes: list[float], flat: bool = False) -> Net:
    net = Net()
    data = net.variable("data")
    data = net.op("Flatten", "rows", [data]) if flat else data
    slope = net.variable("gamma", np.array(slopes, np.float32))
    net.op("Flatten", "flat", [net.op("LeakyReLU", "act", [data, slope], {"act_type": "prelu"})])
    return net


def expected(slopes: list[float]) -> np.ndarray:
    return np.where(IMAGES > 0, IMAGES, IMAGES * np.array(slopes, np.float32)[:, None, None]).reshape(3, -1)


@pytest.mark.parametrize("slopes", [[0.1, 0.25, 0.9, 0.3], [0, -0.5, 2, 1]])
def test_a_slope_per_channel(slopes: list[float]) -> None:
    graph = translate_net(prelu_net(slopes), ROW)
    assert [node.op for node in graph.nodes] == ["Relu", "Conv", "Conv", "Add", "Flatten"]
    assert graph.nodes[3].name == "act"
    np.testing.assert_allclose(run_onnx(graph, IMAGES), expected(slopes), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("slopes", [[0.2], [0.2] * 4])
def test_one_slope_is_leaky(slopes: list[float]) -> None:
    graph = translate_net(prelu_net(slopes), ROW)
    assert [node.op for node in graph.nodes] == ["LeakyRelu", "Flatten"]
    np.testing.assert_allclose(run_onnx(graph, IMAGES), expected([0.2] * 4), rtol=1e-6)


def test_what_would_lose_digits_or_is_no_image_stays() -> None:
    steep = [0.1, 1e6, 0.2, 0.3]
    graph = translate_net(prelu_net(steep), ROW)
    assert [node.op for node in graph.nodes] == ["PRelu", "Flatten"]
    np.testing.assert_allclose(run_onnx(graph, IMAGES), expected(steep), rtol=1e-6)
    rows = translate_net(prelu_net(list(np.linspace(0, 1, 60)), flat=True), ROW)
    assert "PRelu" in [node.op for node in rows.nodes]


def test_plain_operator_if_asked_for() -> None:
    net = prelu_net([0.1, 0.25, 0.9, 0.3])
    graph = translate(parse_symbol(net.symbol_bytes(), "net"), net.params, {"data": (N, *ROW)}, "net")
    assert [node.op for node in optimize(graph, plain_operators=True).nodes] == ["PRelu", "Flatten"]
