"""Batches for the losses, and how the tests run them."""

from __future__ import annotations

import math

import numpy as np
from hypothesis import strategies as st

from gluon_lifted.losses import LOSSES, build_loss
from gluon_lifted.mx import autograd, mx, nd

POINTS = st.tuples(st.integers(-2, 2), st.integers(-2, 2), st.integers(0, 3))  # x, y, label: many duplicates and ties


CLASSES = 48  # proxies of the losses that have some


def build(name, embedding, margin=1.0):
    """The loss of that name for such embeddings, always with the same proxies."""
    net = build_loss(name, margin, CLASSES, embedding.shape[1])
    mx.random.seed(7)
    net.initialize()
    net.cast(embedding.dtype)
    return net


def run(net, embedding, label, label_dtype="int32", head=1.0):
    """Loss and gradient by the code, after a check of shape and dtype."""
    x = nd.array(embedding, dtype=embedding.dtype)
    x.attach_grad()
    with autograd.record():
        loss = net(x, nd.array(label, dtype=label_dtype))
    loss.backward(nd.full((1,), head, dtype=embedding.dtype))
    assert loss.shape == (1,)
    assert loss.dtype == x.grad.dtype == embedding.dtype
    return loss.asnumpy()[0], x.grad.asnumpy()


def hybrid(net):
    net.hybridize(static_alloc=True, static_shape=True)
    return net


def batch(rows, classes, scale=1.0, dim=8, seed=0, dtype="float64"):
    """Random rows and labels."""
    rng = np.random.default_rng(seed)
    return (scale * rng.normal(size=(rows, dim))).astype(dtype), rng.integers(0, classes, rows)


def batch_for(name, rows, **how):
    """Random rows, laid out as the loss of that name reads them; ``rows`` is a multiple of 6."""
    embedding, label = batch(rows, 4, **how)
    if LOSSES[name].sampler == "triplets":
        label = np.concatenate([label[: rows // 3], label[: rows // 3], label[: rows // 3] + 1])
    return embedding, label


def cosine(x, y):
    """Return the cosine of two vectors; 0 if one of them is 0."""
    lengths = math.hypot(*x) * math.hypot(*y)
    return sum(a * b for a, b in zip(x, y, strict=True)) / lengths if lengths else 0.0


def slopes(function, array, step=1e-6):
    """Gradient of a function of an array by central differences; the array is changed and restored."""
    gradient = np.zeros_like(array)
    for index in np.ndindex(array.shape):
        before, sides = array[index], []
        for sign in (1, -1):
            array[index] = before + sign * step
            sides.append(function(array))
        array[index] = before
        gradient[index] = (sides[0] - sides[1]) / (2 * step)
    return gradient


def with_proxies(loss, proxies):
    """The loss, initialized with these proxies (C, D) and in their dtype."""
    loss.initialize()
    loss.cast(proxies.dtype)
    loss.proxies.set_data(nd.array(proxies, dtype=proxies.dtype))
    return loss


def run_proxies(loss, embedding, label):
    """Loss, its gradient by the embedding, and its gradient by the proxies."""
    value, gradient = run(loss, embedding, label)
    return value, gradient, loss.proxies.grad().asnumpy()


def assert_agree(net, loops, embedding, label, rtol):
    """``loops`` gives loss and gradient; a gradient of None is not compared."""
    loss, gradient = run(net, embedding, label)
    expected, expected_gradient = loops(np.asarray(embedding, np.float64), label, net.margin)
    np.testing.assert_allclose(loss, expected, rtol=rtol, atol=rtol)
    if expected_gradient is not None:
        largest = max(1.0, abs(expected_gradient).max())
        np.testing.assert_allclose(gradient, expected_gradient, rtol=0, atol=rtol * largest)
