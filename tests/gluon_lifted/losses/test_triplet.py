"""Triplet losses against plain loops over their triplets, in float64."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

pytest.importorskip("gluon_lifted.mx", exc_type=ImportError, reason="MXNet is not installed")

from gluon_lifted.losses import SemiHardTripletLoss, TripletLoss
from gluon_lifted.losses.triplet import semi_hard_negatives
from gluon_lifted.mx import nd
from tests.examples import examples
from tests.gluon_lifted.losses.cases import (
    POINTS,
    assert_agree,
    batch,
    batch_for,
    hybrid,
    run,
)


def square(x, i, j):
    return float(((x[i] - x[j]) ** 2).sum())


def weighted_loops(x, margin, triplets, weight):
    """weight * sum over triplets of [D²_ap - D²_an + margin]₊."""
    loss, gradient = 0.0, np.zeros_like(x)
    for a, p, n in triplets:
        value = square(x, a, p) - square(x, a, n) + margin
        if value > 0:
            loss += weight * value
            gradient[a] += 2 * weight * (x[n] - x[p])
            gradient[p] += 2 * weight * (x[p] - x[a])
            gradient[n] += 2 * weight * (x[a] - x[n])
    return loss, gradient


def loops(x, label, margin):
    third = len(x) // 3
    triplets = [(i, i + third, i + 2 * third) for i in range(third)]
    triplets = [(a, p, n) for a, p, n in triplets if label[a] == label[p] != label[n]]
    return weighted_loops(x, margin, triplets, 3 / (2 * len(x)))


def semi_hard(distances, negatives, of_positive):
    """All negatives that may be chosen: several where they are equally far."""
    farther = [distances[n] for n in negatives if distances[n] > of_positive]
    best = min(farther) if farther else max(distances[n] for n in negatives)
    return [n for n in negatives if distances[n] == best]


def semi_hard_loops(x, label, margin):
    """Without a gradient where equally far negatives leave a choice: the loss is the same, the gradient is not."""
    rows, triplets, is_unique = range(len(x)), [], True
    for a in rows:
        distances = [square(x, a, other) for other in rows]
        negatives = [n for n in rows if label[n] != label[a]]
        for p in rows:
            if p != a and label[p] == label[a] and negatives:
                chosen = semi_hard(distances, negatives, distances[p])
                is_unique = is_unique and len(chosen) == 1
                triplets.append((a, p, chosen[0]))
    loss, gradient = weighted_loops(x, margin, triplets, 1 / max(len(triplets), 1))
    return loss, gradient if is_unique else None


@pytest.mark.parametrize("scale", [0.05, 0.3, 5.0, 1e4])
@pytest.mark.parametrize("rows", [6, 24])
@pytest.mark.parametrize(("dtype", "rtol"), [("float64", 1e-9), ("float32", 1e-5)])
def test_disjoint_triplets_equal_loops(scale, rows, dtype, rtol):
    embedding, label = batch_for("triplet", rows, scale=scale, dtype=dtype)
    loss, _ = run(TripletLoss(), embedding, label)
    assert_agree(TripletLoss(), loops, embedding, label, rtol=rtol * max(1.0, loss))


@pytest.mark.parametrize("scale", [0.05, 0.3, 5.0, 1e4])
@pytest.mark.parametrize(("rows", "classes"), [(2, 1), (3, 2), (16, 8), (21, 3), (33, 5)])
@pytest.mark.parametrize(("dtype", "rtol"), [("float64", 1e-9), ("float32", 1e-5)])
def test_semi_hard_equals_loops(scale, rows, classes, dtype, rtol):
    embedding, label = batch(rows, classes, scale, dtype=dtype)
    size = max(1.0, scale**2)  # squared distances: their rounding does not shrink with the difference of two
    assert_agree(SemiHardTripletLoss(), semi_hard_loops, embedding, label, rtol=rtol * size)


@pytest.mark.parametrize("margin", [0.0, 0.2, 4.0, -0.5])
def test_margin(margin):
    assert_agree(hybrid(TripletLoss(margin)), loops, *batch_for("triplet", 12, scale=0.5), rtol=1e-9)
    assert_agree(hybrid(SemiHardTripletLoss(margin)), semi_hard_loops, *batch(16, 4, scale=0.5), rtol=1e-9)


@given(
    points=st.lists(POINTS, min_size=3, max_size=12),
    scale=st.sampled_from([0.25, 1.0, 32.0]),
    dtype=st.sampled_from(["float64", "float32"]),
)
@examples(80, derandomize=True)
def test_disjoint_triplets_of_a_grid(points, scale, dtype):
    """Duplicates, ties, hinges at exactly 0, triplets that their labels say are none."""
    points = points[: len(points) // 3 * 3]
    embedding = (scale * np.array([point[:2] for point in points])).astype(dtype)
    assert_agree(TripletLoss(), loops, embedding, [point[2] % 2 for point in points], rtol=1e-6)


@given(
    points=st.lists(POINTS, min_size=8, max_size=8),
    rows=st.sampled_from([1, 2, 4, 8]),
    scale=st.sampled_from([0.25, 1.0, 32.0]),
    offset=st.sampled_from([0.0, 4096.0]),
    dtype=st.sampled_from(["float64", "float32"]),
)
@examples(200, derandomize=True)
def test_semi_hard_points_of_a_grid(points, rows, scale, offset, dtype):
    """Positives exactly as far as negatives, duplicates, hinges at exactly 0; powers of 2 leave nothing to round."""
    embedding = (scale * np.array([point[:2] for point in points[:rows]]) + offset).astype(dtype)
    label = [point[2] for point in points[:rows]]
    assert_agree(SemiHardTripletLoss(), semi_hard_loops, embedding, label, rtol=1e-6)


@pytest.mark.parametrize("levels", [1, 3, 1000])
@pytest.mark.parametrize("rows", [1, 2, 3, 64, 65])
def test_semi_hard_negatives_of_any_matrix(rows, levels):
    """Also of one full of ties, and with rows that have no negatives."""
    rng = np.random.default_rng([rows, levels])
    D2, label = rng.integers(0, levels, (rows, rows)), rng.integers(0, 3, rows)
    negative = label[:, None] != label[None]
    places = semi_hard_negatives(nd, nd.array(D2), nd.array(negative)).asnumpy()
    assert places.dtype == np.int32
    for a, p in np.ndindex(rows, rows):
        if negative[a].any():
            row, chosen = divmod(places[a, p], rows)
            assert row == a
            assert chosen in semi_hard(D2[a], np.flatnonzero(negative[a]), D2[a, p])


def test_one_triplet_by_hand():
    """D²_ap = 0.25, D²_an = 1: half of 0.25 - 1 + margin."""
    embedding = np.array([[1.0, 1.0], [1.3, 1.4], [2.0, 1.0]])
    assert run(TripletLoss(), embedding, [3, 3, 5])[0] == pytest.approx(0.125)
    assert run(TripletLoss(2.0), embedding, [3, 3, 5])[0] == pytest.approx(0.625)
    assert run(TripletLoss(0.5), embedding, [3, 3, 5])[0] == 0


@pytest.mark.parametrize("label", [[3, 4, 5], [3, 3, 3]])
def test_rows_that_are_no_triplet_count_as_zero(label):
    loss, gradient = run(TripletLoss(), np.array([[0.0], [0.5], [0.1]]), label)
    assert loss == 0
    np.testing.assert_array_equal(gradient, 0)


def test_semi_hard_on_a_line_by_hand():
    """Anchor 0 and positive at 2 among negatives at 1, 3 and 9; seen from 2 the negative at 0.5 squared is -2.5..."""
    embedding, label = np.array([[0.0], [2.0], [1.0], [3.0], [9.0]]), [0, 0, 1, 2, 3]
    # a = 0, p = 2: D² = 4; the nearest negative farther than that is at 3: 4 - 9 + 6 = 1
    # a = 2, p = 0: D² = 4; those at 1 and 3 are nearer, so it is the one at 9: 4 - 49 + 6 < 0
    assert run(SemiHardTripletLoss(6.0), embedding, label)[0] == pytest.approx(0.5)
    # without the negative at 9 none is farther: the farthest of 1 and 3, both at 1: 4 - 1 + 6 = 9
    assert run(SemiHardTripletLoss(6.0), embedding[:4], label[:4])[0] == pytest.approx(5.0)


@pytest.mark.parametrize("label", [[0, 1, 2, 3, 4], [7, 7, 7, 7, 7]], ids=["no positives", "no negatives"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_nothing_to_learn_from_is_zero(label, dtype):
    embedding, _ = batch(5, 1, scale=200.0, dtype=dtype)
    for rows in (5, 1):
        loss, gradient = run(hybrid(SemiHardTripletLoss()), embedding[:rows], label[:rows])
        assert loss == 0
        np.testing.assert_array_equal(gradient, 0)


def test_collapse_costs_the_margin():
    embedding = np.repeat(np.random.default_rng(0).normal(size=(1, 64)), 24, axis=0).astype("float32")
    for net, expected in ((TripletLoss(0.3), 0.15), (SemiHardTripletLoss(0.3), 0.3)):
        label = np.arange(24) // 2 if isinstance(net, SemiHardTripletLoss) else np.repeat([0, 0, 1], 8)
        loss, gradient = run(net, embedding, label)
        assert loss == pytest.approx(expected, rel=1e-6)
        assert math.isclose(abs(gradient).max(), 0)
