"""MultiSimilarityLoss against plain loops over every image's pairs, in float64."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

pytest.importorskip("gluon_lifted.mx", exc_type=ImportError, reason="MXNet is not installed")

from gluon_lifted.losses import MultiSimilarityLoss
from tests.examples import examples
from tests.gluon_lifted.losses.cases import POINTS, batch, cosine, hybrid, run, slopes

CHOSEN_BY_ROUNDING = 1e-5  # a pair that is this close to the limit of the choice may be in or out


def chosen(x, label, i, epsilon):
    """Cosines of the pairs of image i that count, and the smallest distance of any pair from the limit."""
    positive = [cosine(x[i], x[k]) for k in range(len(x)) if label[k] == label[i] and k != i]
    negative = [cosine(x[i], x[k]) for k in range(len(x)) if label[k] != label[i]]
    if not positive or not negative:
        return [], [], math.inf
    pulled = [s for s in positive if s - epsilon < max(negative)]
    pushed = [s for s in negative if s + epsilon > min(positive)]
    gaps = [abs(s - epsilon - max(negative)) for s in positive] + [abs(s + epsilon - min(positive)) for s in negative]
    return pulled, pushed, min(gaps)


def loops(x, label, margin=0.5, alpha=2.0, beta=50.0, epsilon=0.1):
    """The loss, and the smallest distance of a pair from the limit of the choice."""
    loss, closest = 0.0, math.inf
    for i in range(len(x)):
        pulled, pushed, gap = chosen(x, label, i, epsilon)
        loss += math.log(1 + sum(math.exp(-alpha * (s - margin)) for s in pulled)) / alpha
        loss += math.log(1 + sum(math.exp(beta * (s - margin)) for s in pushed)) / beta
        closest = min(closest, gap)
    return loss / len(x), closest


@pytest.mark.parametrize("scale", [1e-6, 1.0, 1e5])
@pytest.mark.parametrize(("rows", "classes"), [(2, 1), (3, 2), (9, 3)])
@pytest.mark.parametrize(("dtype", "rtol"), [("float64", 1e-9), ("float32", 1e-5)])
def test_equal_to_loops(rows, classes, scale, dtype, rtol):
    embedding, label = batch(rows, classes, scale, dim=3, dtype=dtype)
    value, gradient = run(hybrid(MultiSimilarityLoss()), embedding, label)
    wide = embedding.astype(np.float64)
    assert value == pytest.approx(loops(wide, label)[0], rel=rtol, abs=rtol)
    expected = slopes(lambda x: loops(x, label)[0], wide, 1e-6 * scale)
    np.testing.assert_allclose(gradient * scale, expected * scale, rtol=0, atol=max(rtol, 1e-7))


@pytest.mark.parametrize(
    "settings", [{"margin": 1.0}, {"margin": -0.2}, {"alpha": 1.0, "beta": 10.0}, {"epsilon": 0.4}, {"epsilon": -0.2}]
)
def test_settings(settings):
    embedding, label = batch(16, 4, dim=4)
    embedding += 2 * np.eye(4)[label]  # clusters, in which many pairs are too easy to count
    value, _ = run(MultiSimilarityLoss(**settings), embedding, label)
    assert value == pytest.approx(loops(embedding, label, **settings)[0], rel=1e-9)
    assert value != pytest.approx(loops(embedding, label)[0], rel=1e-3)


@given(
    points=st.lists(POINTS, min_size=1, max_size=9),
    scale=st.sampled_from([0.01, 30.0]),
    dtype=st.sampled_from(["float64", "float32"]),
)
@examples(100, derandomize=True)
def test_points_of_a_grid(points, scale, dtype):
    """Duplicates, opposite and zero rows, ties, images without positives or negatives, a batch of one."""
    embedding = (scale * np.array([point[:2] for point in points])).astype(dtype)
    label = [point[2] for point in points]
    expected, closest = loops(embedding.astype(np.float64), label, epsilon=0.1234)
    if closest < CHOSEN_BY_ROUNDING:
        return
    value, gradient = run(MultiSimilarityLoss(epsilon=0.1234), embedding, label)
    assert value == pytest.approx(expected, rel=1e-5, abs=1e-6)
    assert np.isfinite(gradient).all()
    np.testing.assert_array_equal(gradient[~embedding.any(axis=1)], 0)


def test_easy_pairs_are_left_out():
    """Cosines 1 to the positive and 0 to the negative: no pair is within 0.1 of a harder one."""
    embedding = np.array([[2.0, 0.0], [3.0, 0.0], [0.0, 1.0]])
    value, gradient = run(MultiSimilarityLoss(), embedding, [0, 0, 1])
    assert value == 0
    np.testing.assert_array_equal(gradient, 0)


@pytest.mark.parametrize("label", [[0, 1, 2, 3, 4], [7, 7, 7, 7, 7]], ids=["no positives", "no negatives"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_nothing_to_learn_from_is_zero(label, dtype):
    embedding, _ = batch(5, 1, dtype=dtype)
    for rows in (5, 1):
        value, gradient = run(hybrid(MultiSimilarityLoss()), embedding[:rows], label[:rows])
        assert value == 0
        np.testing.assert_array_equal(gradient, 0)
