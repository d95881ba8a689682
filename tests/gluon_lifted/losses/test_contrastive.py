"""Contrastive losses against plain loops over their pairs, in float64."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

pytest.importorskip("gluon_lifted.mx", exc_type=ImportError, reason="MXNet is not installed")

from gluon_lifted.losses import AllPairsContrastiveLoss, ContrastiveLoss
from tests.examples import examples
from tests.gluon_lifted.losses.cases import (
    POINTS,
    assert_agree,
    batch,
    hybrid,
    run,
)


def pair_term(x, label, i, j, margin):
    """y D² + (1 - y) [margin - D]₊², and its gradient by x_i; a distance of 0 has none."""
    distance = math.dist(x[i], x[j])
    if label[i] == label[j]:
        return distance**2, 2 * (x[i] - x[j])
    hinge = max(0.0, margin - distance)
    return hinge**2, -2 * hinge * (x[i] - x[j]) / distance if distance > 0 else 0 * x[i]


def weighted_loops(x, label, margin, weights):
    """Sum over {(i, j): weight}."""
    loss, gradient = 0.0, np.zeros_like(x)
    for (i, j), weight in weights.items():
        value, step = pair_term(x, label, i, j, margin)
        loss += weight * value
        gradient[i] += weight * step
        gradient[j] -= weight * step
    return loss, gradient


def loops(x, label, margin):
    half = len(x) // 2
    return weighted_loops(x, label, margin, {(i, i + half): 1 / len(x) for i in range(half)})


def all_pairs_loops(x, label, margin):
    pairs = [(i, j) for i in range(len(x)) for j in range(i + 1, len(x))]
    weights = {}
    for is_positive in (True, False):
        kind = [(i, j) for i, j in pairs if (label[i] == label[j]) == is_positive]
        weights |= {pair: 1 / (4 * len(kind)) for pair in kind}
    return weighted_loops(x, label, margin, weights)


LOSSES_AND_LOOPS = [(ContrastiveLoss, loops), (AllPairsContrastiveLoss, all_pairs_loops)]


@pytest.mark.parametrize(("kind", "oracle"), LOSSES_AND_LOOPS)
@pytest.mark.parametrize("scale", [0.05, 0.3, 5.0, 1e5])
@pytest.mark.parametrize(("rows", "classes"), [(2, 1), (4, 2), (16, 8), (22, 3)])
@pytest.mark.parametrize(("dtype", "rtol"), [("float64", 1e-9), ("float32", 1e-5)])
def test_equal_to_loops(kind, oracle, scale, rows, classes, dtype, rtol):
    assert_agree(kind(), oracle, *batch(rows, classes, scale, dtype=dtype), rtol=rtol)


@pytest.mark.parametrize(("kind", "oracle"), LOSSES_AND_LOOPS)
@pytest.mark.parametrize("margin", [0.0, 0.3, 4.0, -1.0])
def test_margin(kind, oracle, margin):
    assert_agree(hybrid(kind(margin)), oracle, *batch(16, 4, scale=0.5), rtol=1e-9)


@pytest.mark.parametrize(("kind", "oracle"), LOSSES_AND_LOOPS)
@given(
    points=st.lists(POINTS, min_size=1, max_size=4),
    others=st.lists(POINTS, min_size=4, max_size=4),
    scale=st.sampled_from([0.01, 0.3, 30.0]),
    dtype=st.sampled_from(["float64", "float32"]),
)
@examples(80, derandomize=True)
def test_points_of_a_grid(kind, oracle, points, others, scale, dtype):
    """Duplicates among positives and negatives, ties, one kind of pair alone."""
    points = points + others[: len(points)]
    embedding = (scale * np.array([point[:2] for point in points])).astype(dtype)
    label = [point[2] for point in points]
    assert_agree(kind(), oracle, embedding, label, rtol=1e-7 if dtype == "float64" else 2e-3)


def test_one_pair_by_hand():
    """D = 0.5: half of D² = 0.25 for equal labels, of (1 - 0.5)² = 0.25 for others; margin 2: of 1.5²."""
    embedding = np.array([[1.0, 1.0], [1.3, 1.4]])
    assert run(ContrastiveLoss(), embedding, [3, 3])[0] == pytest.approx(0.125)
    assert run(ContrastiveLoss(), embedding, [3, 4])[0] == pytest.approx(0.125)
    assert run(ContrastiveLoss(2.0), embedding, [3, 4])[0] == pytest.approx(1.125)


def test_all_pairs_is_the_paired_loss_of_a_balanced_list():
    """Every positive pair as often as there are negatives and the other way round: half of the list of each kind."""
    embedding, label = batch(6, 2, scale=0.2)
    pairs = [(i, j) for i in range(6) for j in range(i + 1, 6)]
    positive = [(i, j) for i, j in pairs if label[i] == label[j]]
    negative = [(i, j) for i, j in pairs if label[i] != label[j]]
    rows = np.array(positive * len(negative) + negative * len(positive)).T.ravel()
    paired, _ = run(ContrastiveLoss(), embedding[rows], label[rows])
    assert run(AllPairsContrastiveLoss(), embedding, label)[0] == pytest.approx(paired, rel=1e-12)


def test_a_kind_of_pair_the_batch_lacks_adds_nothing():
    embedding, _ = batch(5, 1, scale=0.2)
    squares = [math.dist(embedding[i], embedding[j]) ** 2 for i in range(5) for j in range(i)]
    assert run(AllPairsContrastiveLoss(), embedding, [7] * 5)[0] == pytest.approx(np.mean(squares) / 4)
    loss, gradient = run(AllPairsContrastiveLoss(), 100 * embedding, range(5))  # negatives, all beyond the margin
    assert loss == 0
    np.testing.assert_array_equal(gradient, 0)
