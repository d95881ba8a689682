"""Losses as the last layer need no label."""

from __future__ import annotations

import numpy as np
import pytest

from tests.export.mxnet_files import Net
from tests.export.ops_runner import run_onnx, translate_net


@pytest.mark.parametrize(
    ("op", "expected"),
    [
        ("LinearRegressionOutput", lambda x: x),
        ("MAERegressionOutput", lambda x: x),
        ("SVMOutput", lambda x: x),
        ("LogisticRegressionOutput", lambda x: 1 / (1 + np.exp(-x))),
    ],
)
def test_label_is_left_out(op: str, expected) -> None:
    x = np.random.default_rng(0).normal(size=(2, 1, 2, 3)).astype(np.float32)
    net = Net()
    flat = net.op("Flatten", "flat", [net.variable("data")])
    net.op(op, "loss", [flat, net.variable("loss_label")])
    np.testing.assert_allclose(run_onnx(translate_net(net, x.shape[1:]), x), expected(x.reshape(2, -1)), rtol=1e-6)
