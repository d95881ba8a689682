"""The losses against values that pytorch-metric-learning computed; `record_peers` recorded them."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("gluon_lifted.mx", exc_type=ImportError, reason="MXNet is not installed")

from gluon_lifted.losses import LOSSES, build_loss
from tests.gluon_lifted.losses.cases import run, run_proxies, with_proxies

PEERS = json.loads(Path(__file__).with_name("peers.json").read_text())


@pytest.mark.parametrize("name", PEERS["losses"])
def test_value_and_gradients_are_those_of_pytorch_metric_learning(name):
    embedding, proxies = np.array(PEERS["embedding"]), np.array(PEERS["proxies"])
    loss = build_loss(name, LOSSES[name].defaults["margin"][0], *proxies.shape)
    expected = PEERS["losses"][name]
    if LOSSES[name].has_proxies:
        value, gradient, proxy_gradient = run_proxies(with_proxies(loss, proxies), embedding, PEERS["label"])
        np.testing.assert_allclose(proxy_gradient, expected["proxy_gradient"], rtol=1e-9, atol=1e-9)
    else:
        value, gradient = run(loss, embedding, PEERS["label"])
    assert value == pytest.approx(expected["loss"], rel=1e-9)
    np.testing.assert_allclose(gradient, expected["gradient"], rtol=1e-9, atol=1e-9)
