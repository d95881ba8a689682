"""Composed functions at their extremes against MXNet itself."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("gluon_lifted.mx", exc_type=ImportError, reason="MXNet is not installed")

from tests.export.mxnet_runner import run_mxnet
from tests.export.ops.test_composed import EXTREMES, network
from tests.export.ops_runner import run_onnx, translate_net


@pytest.mark.parametrize("op", EXTREMES)
def test_extremes_equal_mxnet(op: str) -> None:
    x = np.array(EXTREMES[op][0], np.float32).reshape(1, 1, 1, -1)
    actual = run_onnx(translate_net(network(op), x.shape[1:]), x)
    np.testing.assert_allclose(actual, run_mxnet(network(op), x), rtol=2e-6, atol=0)
