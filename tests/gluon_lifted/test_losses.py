"""LiftedStructureLoss against plain loops over written-out pairs, in float64."""

from __future__ import annotations

import math
from importlib import util

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

if util.find_spec("mxnet") is None:  # `importorskip` would import it without what gluon_lifted.mx puts right first
    pytest.skip("MXNet is not installed", allow_module_level=True)

from gluon_lifted.errors import ConfigError
from gluon_lifted.losses import LiftedStructureLoss
from gluon_lifted.mx import autograd, mx, nd


def pair_terms(distance, label, i, j, margin):
    """J_ij, and the share of each negative term (row, negative) in its sum."""
    terms = [(row, k) for row in (i, j) for k in range(len(label)) if label[k] != label[row]]
    if not terms:
        return -math.inf, {}
    top = max(margin - distance[term] for term in terms)
    total = sum(math.exp(margin - distance[term] - top) for term in terms)
    share = {term: math.exp(margin - distance[term] - top) / total for term in terms}
    return top + math.log(total) + distance[i, j], share


def loops(embedding, label, margin=1.0):
    """The formula and its gradient, pair by pair, as in the authors' Caffe layer; a distance of 0 has no gradient."""
    x = np.asarray(embedding, np.float64)
    distance = {(a, b): math.dist(x[a], x[b]) for a in range(len(x)) for b in range(len(x))}
    pairs = [(i, j) for i in range(len(x)) for j in range(i + 1, len(x)) if label[i] == label[j]]
    loss, gradient = 0.0, np.zeros_like(x)
    for i, j in pairs:
        value, share = pair_terms(distance, label, i, j, margin)
        if value <= 0:
            continue
        loss += value**2 / (2 * len(pairs))
        for (a, b), weight in {(i, j): -1.0, **share}.items():
            if distance[a, b] > 0:
                step = weight * value / len(pairs) * (x[a] - x[b]) / distance[a, b]
                gradient[a] -= step
                gradient[b] += step
    return loss, gradient


def run(embedding, label, label_dtype="int32", head=1.0, net=None):
    """Loss and gradient by the code, after a check of shape and dtype."""
    net = net or LiftedStructureLoss()
    x = nd.array(embedding, dtype=embedding.dtype)
    x.attach_grad()
    with autograd.record():
        loss = net(x, nd.array(label, dtype=label_dtype))
    loss.backward(nd.full((1,), head, dtype=embedding.dtype))
    assert loss.shape == (1,)
    assert loss.dtype == x.grad.dtype == embedding.dtype
    return loss.asnumpy()[0], x.grad.asnumpy()


def hybrid():
    net = LiftedStructureLoss()
    net.hybridize(static_alloc=True, static_shape=True)
    return net


def assert_equal_to_loops(embedding, label, rtol, margin=1.0, **how):
    loss, gradient = run(embedding, label, **how)
    expected, expected_gradient = loops(embedding, label, margin)
    np.testing.assert_allclose(loss, expected, rtol=rtol, atol=rtol)
    np.testing.assert_allclose(gradient, expected_gradient, rtol=0, atol=rtol * max(1.0, abs(expected_gradient).max()))


def batch(rows, classes, scale=1.0, dim=8, seed=0, dtype="float64"):
    rng = np.random.default_rng(seed)
    return (scale * rng.normal(size=(rows, dim))).astype(dtype), rng.integers(0, classes, rows)


@pytest.mark.parametrize("scale", [0.1, 1.0, 5.0, 200.0, 1e5])
@pytest.mark.parametrize(("rows", "classes"), [(2, 1), (3, 2), (16, 8), (21, 3), (32, 24)])
@pytest.mark.parametrize(("dtype", "rtol"), [("float64", 1e-9), ("float32", 1e-5)])
def test_equal_to_loops(rows, classes, scale, dtype, rtol):
    assert_equal_to_loops(*batch(rows, classes, scale, dtype=dtype), rtol=rtol)


@pytest.mark.parametrize("margin", [0.0, 0.3, -4.0])
def test_margin(margin):
    net = LiftedStructureLoss(margin)
    assert_equal_to_loops(*batch(16, 6, scale=0.5), rtol=1e-9, margin=margin, net=net)


@given(
    points=st.lists(st.tuples(st.integers(-2, 2), st.integers(-2, 2), st.integers(0, 3)), min_size=1, max_size=9),
    scale=st.sampled_from([0.01, 1.0, 30.0]),
    offset=st.sampled_from([0.0, 4096.0]),
    dtype=st.sampled_from(["float64", "float32"]),
)
@settings(max_examples=150, deadline=None, derandomize=True)
def test_points_of_a_grid(points, scale, offset, dtype):
    """Duplicates among positives and negatives, ties, no positives, no negatives, a batch of one."""
    embedding = (scale * np.array([point[:2] for point in points]) + offset).astype(dtype)
    label = [point[2] for point in points]
    assert_equal_to_loops(embedding, label, rtol=1e-7 if dtype == "float64" else 2e-3)


@given(seed=st.integers(0, 10**6), rows=st.integers(1, 12), classes=st.integers(1, 6))
@settings(max_examples=50, deadline=None, derandomize=True)
def test_order_of_the_batch_does_not_matter(seed, rows, classes):
    embedding, label = batch(rows, classes, seed=seed)
    order = np.random.default_rng(seed + 1).permutation(rows)
    loss, gradient = run(embedding, label)
    permuted_loss, permuted_gradient = run(embedding[order], label[order])
    np.testing.assert_allclose(permuted_loss, loss, rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(permuted_gradient, gradient[order], rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("scale", [0.3, 3.0, 60.0])
def test_gradient_by_finite_differences(scale):
    embedding, label = batch(10, 4, scale, dim=3)
    _, gradient = run(embedding, label)
    net, step = LiftedStructureLoss(), 1e-6 * scale
    for place in np.ndindex(embedding.shape):
        sides = []
        for sign in (1, -1):
            moved = embedding.copy()
            moved[place] += sign * step
            sides.append(net(nd.array(moved, dtype="float64"), nd.array(label)).asscalar())
        assert gradient[place] == pytest.approx((sides[0] - sides[1]) / (2 * step), rel=1e-5, abs=1e-6)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_hybrid_is_bitwise_eager(dtype):
    net = hybrid()
    for seed, rows in enumerate([16, 16, 7, 128, 1]):  # one net through changing batch sizes
        embedding, label = batch(rows, 4, seed=seed, dtype=dtype)
        for hybrid_part, eager_part in zip(run(embedding, label, net=net), run(embedding, label), strict=True):
            np.testing.assert_array_equal(hybrid_part, eager_part)


def test_head_gradient_scales_the_gradient():
    embedding, label = batch(12, 4)
    np.testing.assert_allclose(run(embedding, label, head=-3.0)[1], -3.0 * run(embedding, label)[1], rtol=1e-12)


def test_collapse_has_its_known_value_and_no_gradient():
    """All rows equal, two per class: every J_ij is margin + log(2 (B - 2)); 21.317 at B = 128."""
    embedding = np.repeat(np.random.default_rng(0).normal(size=(1, 64)), 128, axis=0).astype("float32")
    loss, gradient = run(embedding, np.arange(128) // 2, net=hybrid())
    assert loss == pytest.approx(0.5 * (1 + math.log(2 * 126)) ** 2, rel=1e-6)
    assert not gradient.any()


@pytest.mark.parametrize("label", [[0, 1, 2, 3, 4], [7, 7, 7, 7, 7]], ids=["no positives", "no negatives"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_nothing_to_learn_from_is_zero(label, dtype):
    embedding, _ = batch(5, 1, scale=200.0, dtype=dtype)
    for rows in (5, 1):
        loss, gradient = run(embedding[:rows], label[:rows], net=hybrid())
        assert loss == 0
        np.testing.assert_array_equal(gradient, 0)


def test_float32_duplicates_far_from_the_origin():
    """Where the matrix product makes squared distances negative: finite, and as accurate as documented."""
    rng = np.random.default_rng(1)
    embedding = (np.repeat(20 * rng.normal(size=(8, 64)), 6, axis=0) + 1000).astype("float32")
    label = rng.integers(0, 6, 48)  # duplicates meet as positives and as negatives
    loss, gradient = run(embedding, label, net=hybrid())
    expected, expected_gradient = loops(embedding, label)
    radius = np.linalg.norm(embedding - embedding.mean(axis=0), axis=1).max()
    assert abs(loss - expected) < 1e-3 * radius * math.sqrt(2 * expected)
    assert np.linalg.norm(gradient - expected_gradient) < 1e-2 * np.linalg.norm(expected_gradient)


@pytest.mark.parametrize("offset", [1e3, 1e5, 1e7])
def test_float32_offset_costs_no_accuracy(offset):
    embedding, label = batch(32, 12, dim=64)
    assert_equal_to_loops((embedding + offset).astype("float32"), label, rtol=5e-6)


@pytest.mark.parametrize("dtype", ["int32", "int64", "float32"])
def test_label_dtypes(dtype):
    for embedding_dtype in ("float32", "float64"):
        embedding, label = batch(20, 6, dtype=embedding_dtype)
        assert run(embedding, label, dtype)[0] == run(embedding, label)[0] != 0
        assert run(embedding, label[:, None], dtype)[0] == run(embedding, label)[0]


def test_labels_that_float32_cannot_tell_apart():
    embedding, _ = batch(4, 1, dtype="float32")
    assert run(embedding, np.array([2**40, 2**40 + 1, 2**24, 2**24 + 1]), "int64")[0] == 0


@pytest.mark.parametrize("bad", [math.nan, math.inf])
@pytest.mark.parametrize("label", [[0, 0, 1, 1, 2, 2], [0, 1, 2, 3, 4, 5]])
def test_broken_embedding_is_seen(bad, label):
    embedding, _ = batch(6, 1, dtype="float32")
    embedding[2, 1] = bad
    for net in (LiftedStructureLoss(), hybrid()):
        assert math.isnan(run(embedding, label, net=net)[0])


def test_distances_too_large_for_the_dtype_are_seen():
    embedding, label = batch(6, 2, scale=1e20, dtype="float32")
    assert not math.isfinite(run(embedding, label)[0])


def test_symbol_gives_one_number():
    symbol = LiftedStructureLoss()(mx.sym.var("embedding"), mx.sym.var("label"))
    assert symbol.infer_shape(embedding=(6, 3), label=(6,))[1] == [(1,)]


@pytest.mark.parametrize("rows", [1, 3, 5])
def test_label_count_must_match(rows):
    with pytest.raises(mx.MXNetError, match="different size"):
        run(batch(4, 1)[0], np.zeros(rows))


@pytest.mark.parametrize("margin", [math.nan, math.inf])
def test_margin_must_be_finite(margin):
    with pytest.raises(ConfigError, match=r"margin .* finite"):
        LiftedStructureLoss(margin)
