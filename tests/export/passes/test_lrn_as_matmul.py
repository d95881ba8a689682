from __future__ import annotations

import numpy as np
import pytest

from export.graph.shape import N
from export.passes import lrn_as_matmul as lrn
from export.passes.optimize import optimize
from export.reader.symbol import parse_symbol
from export.translate import translate
from tests.export import oracles
from tests.export.mxnet_files import Net
from tests.export.ops_runner import run_onnx, translate_net

ROW = (7, 3, 2)
IMAGES = 10 * np.random.default_rng(0).normal(size=(2, *ROW)).astype(np.float32)


def lrn_net() -> Net:
    net = Net()
    attrs = {"nsize": "5", "alpha": "0.3", "knorm": "1.5"}
    net.op("Flatten", "flat", [net.op("LRN", "norm", [net.variable("data")], attrs)])
    return net


def expected() -> np.ndarray:
    return oracles.lrn(IMAGES, 5, alpha=0.3, knorm=1.5).reshape(2, -1)


def test_fast_form_keeps_the_name() -> None:
    graph = translate_net(lrn_net(), ROW)
    assert [node.op for node in graph.nodes if node.name == "norm"] == ["Mul"]
    assert "LRN" not in [node.op for node in graph.nodes]
    np.testing.assert_allclose(run_onnx(graph, IMAGES), expected(), rtol=1e-5)


def test_exact_operator_if_asked_for() -> None:
    net = lrn_net()
    graph = optimize(
        translate(parse_symbol(net.symbol_bytes(), "net"), {}, {"data": (N, *ROW)}, "net"), plain_operators=True
    )
    assert [node.op for node in graph.nodes] == ["LRN", "Flatten"]
    np.testing.assert_allclose(run_onnx(graph, IMAGES), expected(), rtol=1e-5)


def test_exact_operator_for_many_channels(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lrn, "MAX_MATRIX_CHANNELS", 6)
    graph = translate_net(lrn_net(), ROW)
    assert [node.op for node in graph.nodes] == ["LRN", "Flatten"]
    np.testing.assert_allclose(run_onnx(graph, IMAGES), expected(), rtol=1e-5)


@pytest.mark.parametrize("beta", ["0.75", "0.5"])
def test_other_powers(beta: str) -> None:
    net = Net()
    attrs = {"nsize": "5", "alpha": "0.3", "knorm": "1.5", "beta": beta}
    net.op("Flatten", "flat", [net.op("LRN", "norm", [net.variable("data")], attrs)])
    wanted = oracles.lrn(IMAGES, 5, alpha=0.3, knorm=1.5, beta=float(beta)).reshape(2, -1)
    np.testing.assert_allclose(run_onnx(translate_net(net, ROW), IMAGES), wanted, rtol=1e-5)


def test_large_images_do_not_overflow() -> None:
    images = np.full((1, *ROW), 1e12, np.float32)
    wanted = oracles.lrn(images, 5, alpha=0.3, knorm=1.5).reshape(1, -1)
    np.testing.assert_allclose(run_onnx(translate_net(lrn_net(), ROW), images), wanted, rtol=1e-5)
