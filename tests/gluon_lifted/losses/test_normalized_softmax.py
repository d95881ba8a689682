"""NormalizedSoftmaxLoss against plain loops over images and proxies, in float64."""

from __future__ import annotations

import math

import numpy as np
import pytest

pytest.importorskip("gluon_lifted.mx", exc_type=ImportError, reason="MXNet is not installed")

from gluon_lifted.losses import NormalizedSoftmaxLoss
from gluon_lifted.mx import mx
from tests.gluon_lifted.losses.cases import batch, cosine, hybrid, run_proxies, slopes, with_proxies


def loops(x, label, proxies, margin=0.0, temperature=0.05):
    loss = 0.0
    for row, its in zip(x, label, strict=True):
        logits = [(cosine(row, p) - margin * (number == its)) / temperature for number, p in enumerate(proxies)]
        loss += math.log(sum(map(math.exp, logits))) - logits[its]
    return loss / len(x)


@pytest.mark.parametrize("length", [1e-6, 1.0, 1e5])
@pytest.mark.parametrize(("rows", "classes"), [(1, 1), (2, 6), (9, 3)])
@pytest.mark.parametrize(("dtype", "rtol"), [("float64", 1e-9), ("float32", 1e-5)])
def test_equal_to_loops(rows, classes, length, dtype, rtol):
    embedding, label = batch(rows, classes, length, dim=3, dtype=dtype)
    proxies = np.random.default_rng(1).normal(size=(classes, 3)).astype(dtype)
    loss = hybrid(with_proxies(NormalizedSoftmaxLoss(0.0, classes, 3), proxies))
    value, gradient, proxy_gradient = run_proxies(loss, embedding, label)
    x, p = embedding.astype(np.float64), proxies.astype(np.float64)
    assert value == pytest.approx(loops(x, label, p), rel=rtol, abs=rtol)
    expected = slopes(lambda x: loops(x, label, p), x, 1e-6 * length)
    np.testing.assert_allclose(gradient * length, expected * length, rtol=1e3 * rtol, atol=max(10 * rtol, 1e-7))
    expected = slopes(lambda p: loops(x, label, p), p)
    np.testing.assert_allclose(proxy_gradient, expected, rtol=1e3 * rtol, atol=max(10 * rtol, 1e-7))


@pytest.mark.parametrize(("margin", "temperature"), [(0.35, 0.05), (-0.1, 0.05), (0.0, 1.0)])
def test_margin_and_temperature(margin, temperature):
    embedding, label = batch(12, 4, dim=3)
    proxies = np.random.default_rng(1).normal(size=(5, 3))
    loss = with_proxies(NormalizedSoftmaxLoss(margin, 5, 3, temperature), proxies)
    value, _, _ = run_proxies(loss, embedding, label)
    assert value == pytest.approx(loops(embedding, label, proxies, margin, temperature), rel=1e-9)


def test_zero_rows_have_no_gradient():
    """Images and proxies of length 0 have the cosine 0 to all."""
    embedding, proxies = np.array([[0.0, 0.0], [1.0, 0.5]]), np.array([[0.3, 1.0], [0.0, 0.0], [1.0, -1.0]])
    loss = with_proxies(NormalizedSoftmaxLoss(0.0, 3, 2), proxies)
    value, gradient, proxy_gradient = run_proxies(loss, embedding, [0, 2])
    assert value == pytest.approx(loops(embedding, [0, 2], proxies), rel=1e-9)
    np.testing.assert_array_equal(gradient[0], 0)
    np.testing.assert_array_equal(proxy_gradient[1], 0)
    assert abs(gradient[1]).max() > 0.1


def test_a_right_image_of_a_sharp_temperature_overflows_nothing():
    embedding, proxies = np.array([[1.0, 0.0]], "float32"), np.array([[-1.0, 0.0], [1.0, 0.0]], "float32")
    loss = with_proxies(NormalizedSoftmaxLoss(0.0, 2, 2, temperature=1e-3), proxies)
    assert run_proxies(loss, embedding, [1])[0] == pytest.approx(0, abs=1e-5)
    assert run_proxies(loss, embedding, [0])[0] == pytest.approx(2000)


def test_proxies_are_drawn_as_the_authors_draw_them():
    """Uniform between -1 / sqrt(D) and 1 / sqrt(D)."""
    mx.random.seed(0)
    loss = NormalizedSoftmaxLoss(0.0, 500, 25)
    loss.initialize()
    drawn = loss.proxies.data().asnumpy()
    assert drawn.min() == pytest.approx(-0.2, rel=0.01)
    assert drawn.max() == pytest.approx(0.2, rel=0.01)
    assert drawn.std() == pytest.approx(0.2 / math.sqrt(3), rel=0.02)
