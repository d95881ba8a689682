"""ProxyAnchorLoss against plain loops over proxies and images, in float64."""

from __future__ import annotations

import math

import numpy as np
import pytest

pytest.importorskip("gluon_lifted.mx", exc_type=ImportError, reason="MXNet is not installed")

from gluon_lifted.losses import ProxyAnchorLoss
from gluon_lifted.mx import mx
from tests.gluon_lifted.losses.cases import batch, cosine, hybrid, run_proxies, slopes, with_proxies


def loops(x, label, proxies, margin=0.1, scale=32.0):
    pull, push, with_images = 0.0, 0.0, 0
    for number, proxy in enumerate(proxies):
        own = [cosine(row, proxy) for row, its in zip(x, label, strict=True) if its == number]
        other = [cosine(row, proxy) for row, its in zip(x, label, strict=True) if its != number]
        pull += math.log(1 + sum(math.exp(-scale * (s - margin)) for s in own))
        push += math.log(1 + sum(math.exp(scale * (s + margin)) for s in other))
        with_images += bool(own)
    return pull / max(1, with_images) + push / len(proxies)


@pytest.mark.parametrize("length", [1e-6, 1.0, 1e5])
@pytest.mark.parametrize(("rows", "classes"), [(1, 1), (2, 6), (9, 3)])
@pytest.mark.parametrize(("dtype", "rtol"), [("float64", 1e-9), ("float32", 1e-5)])
def test_equal_to_loops(rows, classes, length, dtype, rtol):
    embedding, label = batch(rows, classes, length, dim=3, dtype=dtype)
    proxies = np.random.default_rng(1).normal(size=(classes, 3)).astype(dtype)
    loss = hybrid(with_proxies(ProxyAnchorLoss(0.1, classes, 3), proxies))
    value, gradient, proxy_gradient = run_proxies(loss, embedding, label)
    x, p = embedding.astype(np.float64), proxies.astype(np.float64)
    assert value == pytest.approx(loops(x, label, p), rel=rtol, abs=rtol)
    expected = slopes(lambda x: loops(x, label, p), x, 1e-6 * length)
    np.testing.assert_allclose(gradient * length, expected * length, rtol=1e3 * rtol, atol=max(10 * rtol, 1e-7))
    expected = slopes(lambda p: loops(x, label, p), p)
    np.testing.assert_allclose(proxy_gradient, expected, rtol=1e3 * rtol, atol=max(10 * rtol, 1e-7))


@pytest.mark.parametrize(("margin", "scale"), [(0.0, 32.0), (0.4, 32.0), (0.1, 4.0)])
def test_margin_and_scale(margin, scale):
    embedding, label = batch(12, 4, dim=3)
    proxies = np.random.default_rng(1).normal(size=(5, 3))
    value, _, _ = run_proxies(with_proxies(ProxyAnchorLoss(margin, 5, 3, scale), proxies), embedding, label)
    assert value == pytest.approx(loops(embedding, label, proxies, margin, scale), rel=1e-9)


def test_zero_rows_have_no_gradient():
    """Images and proxies of length 0 have the cosine 0 to all."""
    embedding, proxies = np.array([[0.0, 0.0], [1.0, 0.5]]), np.array([[0.3, 1.0], [0.0, 0.0], [1.0, -1.0]])
    loss = with_proxies(ProxyAnchorLoss(0.1, 3, 2), proxies)
    value, gradient, proxy_gradient = run_proxies(loss, embedding, [0, 2])
    assert value == pytest.approx(loops(embedding, [0, 2], proxies), rel=1e-9)
    np.testing.assert_array_equal(gradient[0], 0)
    np.testing.assert_array_equal(proxy_gradient[1], 0)
    assert abs(gradient[1]).max() > 0.1


def test_proxies_are_drawn_as_the_authors_draw_them():
    """kaiming_normal_ with fan_out of a (C, D) array: standard deviation sqrt(2 / C)."""
    mx.random.seed(0)
    loss = ProxyAnchorLoss(0.1, 50, 400)
    loss.initialize()
    drawn = loss.proxies.data().asnumpy()
    assert drawn.std() == pytest.approx(0.2, rel=0.02)
    assert abs(drawn.mean()) < 0.01
