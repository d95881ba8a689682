"""GeneralizedLiftedStructureLoss against plain loops over every image's positives and negatives, in float64."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

pytest.importorskip("gluon_lifted.mx", exc_type=ImportError, reason="MXNet is not installed")

from gluon_lifted.losses import GeneralizedLiftedStructureLoss
from tests.examples import examples
from tests.gluon_lifted.losses.cases import (
    POINTS,
    assert_agree,
    batch,
    hybrid,
    run,
)


def log_sum_exp(terms):
    """Of {row: term}, with every row's share in the sum."""
    top = max(terms.values())
    total = sum(math.exp(term - top) for term in terms.values())
    return top + math.log(total), {row: math.exp(term - top) / total for row, term in terms.items()}


def anchors(x, label):
    """(a, distances to positives, distances to negatives) of all images that have both."""
    for a in range(len(x)):
        distance = {other: math.dist(x[a], x[other]) for other in range(len(x)) if other != a}
        positive = {p: distance[p] for p in distance if label[p] == label[a]}
        negative = {n: distance[n] for n in distance if label[n] != label[a]}
        if positive and negative:
            yield a, positive, negative


def loops(x, label, margin):
    loss, gradient, all_anchors = 0.0, np.zeros_like(x), list(anchors(x, label))
    for a, positive, negative in all_anchors:
        pull, pull_share = log_sum_exp(positive)
        push, push_share = log_sum_exp({n: margin - distance for n, distance in negative.items()})
        if pull + push <= 0:
            continue
        loss += (pull + push) / len(all_anchors)
        for other, weight in {**pull_share, **{n: -share for n, share in push_share.items()}}.items():
            distance = math.dist(x[a], x[other])
            if distance > 0:
                step = weight / len(all_anchors) * (x[a] - x[other]) / distance
                gradient[a] += step
                gradient[other] -= step
    return loss, gradient


@pytest.mark.parametrize("scale", [0.1, 1.0, 5.0, 200.0, 1e5])
@pytest.mark.parametrize(("rows", "classes"), [(2, 1), (3, 2), (16, 8), (21, 3), (32, 24)])
@pytest.mark.parametrize(("dtype", "rtol"), [("float64", 1e-9), ("float32", 1e-5)])
def test_equal_to_loops(rows, classes, scale, dtype, rtol):
    assert_agree(GeneralizedLiftedStructureLoss(), loops, *batch(rows, classes, scale, dtype=dtype), rtol=rtol)


@pytest.mark.parametrize("margin", [0.0, 0.3, -4.0])
def test_margin(margin):
    net = hybrid(GeneralizedLiftedStructureLoss(margin))
    assert_agree(net, loops, *batch(16, 6, scale=0.5), rtol=1e-9)


@given(
    points=st.lists(POINTS, min_size=1, max_size=9),
    scale=st.sampled_from([0.01, 1.0, 30.0]),
    offset=st.sampled_from([0.0, 4096.0]),
    dtype=st.sampled_from(["float64", "float32"]),
)
@examples(150, derandomize=True)
def test_points_of_a_grid(points, scale, offset, dtype):
    """Duplicates among positives and negatives, ties, images without positives or negatives, a batch of one."""
    embedding = (scale * np.array([point[:2] for point in points]) + offset).astype(dtype)
    net = GeneralizedLiftedStructureLoss(math.sqrt(0.6))  # no sum of the grid's distances puts a hinge at 0
    assert_agree(net, loops, embedding, [point[2] for point in points], rtol=1e-7 if dtype == "float64" else 2e-3)


def test_images_without_a_positive_are_no_anchors_but_negatives():
    """Points 0 and 3 of one label, 5 of another: [3 + 1 - 5]₊ for the first, [3 + 1 - 2]₊ for the second."""
    loss, _ = run(GeneralizedLiftedStructureLoss(), np.array([[0.0], [3.0], [5.0]]), [0, 0, 1])
    assert loss == pytest.approx((0 + 2) / 2)


@pytest.mark.parametrize("label", [[0, 1, 2, 3, 4], [7, 7, 7, 7, 7]], ids=["no positives", "no negatives"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_nothing_to_learn_from_is_zero(label, dtype):
    embedding, _ = batch(5, 1, scale=200.0, dtype=dtype)
    for rows in (5, 1):
        loss, gradient = run(hybrid(GeneralizedLiftedStructureLoss()), embedding[:rows], label[:rows])
        assert loss == 0
        np.testing.assert_array_equal(gradient, 0)


def test_collapse_has_its_known_value_and_no_gradient():
    """All rows equal, two per class: log 1 + margin + log(B - 2)."""
    embedding = np.repeat(np.random.default_rng(0).normal(size=(1, 64)), 128, axis=0).astype("float32")
    loss, gradient = run(GeneralizedLiftedStructureLoss(), embedding, np.arange(128) // 2)
    assert loss == pytest.approx(1 + math.log(126), rel=1e-6)
    assert not gradient.any()
