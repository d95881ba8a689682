"""LiftedStructureLoss against plain loops over written-out pairs, in float64."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

pytest.importorskip("gluon_lifted.mx", exc_type=ImportError, reason="MXNet is not installed")

from gluon_lifted.losses import LiftedStructureLoss
from tests.examples import examples
from tests.gluon_lifted.losses.cases import (
    POINTS,
    assert_agree,
    batch,
    hybrid,
    run,
)


def pair_terms(distance, label, i, j, margin):
    """J_ij, and the share of each negative term (row, negative) in its sum."""
    terms = [(row, k) for row in (i, j) for k in range(len(label)) if label[k] != label[row]]
    if not terms:
        return -math.inf, {}
    top = max(margin - distance[term] for term in terms)
    total = sum(math.exp(margin - distance[term] - top) for term in terms)
    share = {term: math.exp(margin - distance[term] - top) / total for term in terms}
    return top + math.log(total) + distance[i, j], share


def loops(x, label, margin):
    """The formula and its gradient, pair by pair, as in the authors' Caffe layer; a distance of 0 has no gradient."""
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


@pytest.mark.parametrize("scale", [0.1, 1.0, 5.0, 200.0, 1e5])
@pytest.mark.parametrize(("rows", "classes"), [(2, 1), (3, 2), (16, 8), (21, 3), (32, 24)])
@pytest.mark.parametrize(("dtype", "rtol"), [("float64", 1e-9), ("float32", 1e-5)])
def test_equal_to_loops(rows, classes, scale, dtype, rtol):
    assert_agree(LiftedStructureLoss(), loops, *batch(rows, classes, scale, dtype=dtype), rtol=rtol)


@pytest.mark.parametrize("margin", [0.0, 0.3, -4.0])
def test_margin(margin):
    assert_agree(hybrid(LiftedStructureLoss(margin)), loops, *batch(16, 6, scale=0.5), rtol=1e-9)


@given(
    points=st.lists(POINTS, min_size=1, max_size=9),
    scale=st.sampled_from([0.01, 1.0, 30.0]),
    offset=st.sampled_from([0.0, 4096.0]),
    dtype=st.sampled_from(["float64", "float32"]),
)
@examples(150, derandomize=True)
def test_points_of_a_grid(points, scale, offset, dtype):
    """Duplicates among positives and negatives, ties, no positives, no negatives, a batch of one."""
    embedding = (scale * np.array([point[:2] for point in points]) + offset).astype(dtype)
    label = [point[2] for point in points]
    assert_agree(LiftedStructureLoss(), loops, embedding, label, rtol=1e-7 if dtype == "float64" else 2e-3)


def test_collapse_has_its_known_value_and_no_gradient():
    """All rows equal, two per class: every J_ij is margin + log(2 (B - 2)); 21.317 at B = 128."""
    embedding = np.repeat(np.random.default_rng(0).normal(size=(1, 64)), 128, axis=0).astype("float32")
    loss, gradient = run(hybrid(LiftedStructureLoss()), embedding, np.arange(128) // 2)
    assert loss == pytest.approx(0.5 * (1 + math.log(2 * 126)) ** 2, rel=1e-6)
    assert not gradient.any()


@pytest.mark.parametrize("label", [[0, 1, 2, 3, 4], [7, 7, 7, 7, 7]], ids=["no positives", "no negatives"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_nothing_to_learn_from_is_zero(label, dtype):
    embedding, _ = batch(5, 1, scale=200.0, dtype=dtype)
    for rows in (5, 1):
        loss, gradient = run(hybrid(LiftedStructureLoss()), embedding[:rows], label[:rows])
        assert loss == 0
        np.testing.assert_array_equal(gradient, 0)


def test_float32_duplicates_far_from_the_origin():
    """Where the matrix product makes squared distances negative: finite, and as accurate as documented."""
    rng = np.random.default_rng(1)
    embedding = (np.repeat(20 * rng.normal(size=(8, 64)), 6, axis=0) + 1000).astype("float32")
    label = rng.integers(0, 6, 48)  # duplicates meet as positives and as negatives
    loss, gradient = run(hybrid(LiftedStructureLoss()), embedding, label)
    expected, expected_gradient = loops(embedding.astype("float64"), label, 1.0)
    radius = np.linalg.norm(embedding - embedding.mean(axis=0), axis=1).max()
    assert abs(loss - expected) < 1e-3 * radius * math.sqrt(2 * expected)
    assert np.linalg.norm(gradient - expected_gradient) < 1e-2 * np.linalg.norm(expected_gradient)


@pytest.mark.parametrize("offset", [1e3, 1e5, 1e7])
def test_float32_offset_costs_no_accuracy(offset):
    embedding, label = batch(32, 12, dim=64)
    assert_agree(LiftedStructureLoss(), loops, (embedding + offset).astype("float32"), label, rtol=5e-6)
