"""nmi, pairwise_f1 and ami against plain loops, exact fractions and scikit-learn."""

import doctest
import json
import math
from collections import Counter
from fractions import Fraction
from functools import partial
from itertools import combinations, permutations
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gluon_lifted.errors import ConfigError, DataError
from gluon_lifted.metrics import partitions
from gluon_lifted.metrics.partitions import (
    ami,
    expected_information,
    nmi,
    pairwise_f1,
)
from tests.examples import examples
from tests.gluon_lifted.metrics.peer_cases import CASES, case

MEASURES = [nmi, pairwise_f1, ami]


def entropy_by_loops(values):
    return -sum(
        values.count(value) / len(values) * math.log(values.count(value) / len(values)) for value in set(values)
    )


def information_by_loops(labels, clusters):
    """The sum over pairs of class and cluster."""
    num, information = len(labels), 0.0
    for label in set(labels):
        for other in set(clusters):
            both = sum(a == label and b == other for a, b in zip(labels, clusters, strict=True))
            if both:
                information += both / num * math.log(num * both / (labels.count(label) * clusters.count(other)))
    return information


def f1_by_loops(labels, clusters):
    """2 P R / (P + R) over all pairs of rows, as fractions; None where it is 0/0."""
    pairs = list(combinations(range(len(labels)), 2))
    claimed = {(i, j) for i, j in pairs if clusters[i] == clusters[j]}
    true = {(i, j) for i, j in pairs if labels[i] == labels[j]}
    if not claimed & true:
        return None if not claimed and not true else 0
    precision = Fraction(len(claimed & true), len(claimed))
    recall = Fraction(len(claimed & true), len(true))
    return 2 * precision * recall / (precision + recall)


def expected_by_fractions(class_sizes, cluster_sizes):
    """Every chance a quotient of whole numbers."""
    num, total = sum(class_sizes), 0.0
    for size in class_sizes:
        for other in cluster_sizes:
            for both in range(1, min(size, other) + 1):
                ways = math.comb(size, both) * math.comb(num - size, other - both)
                chance = float(Fraction(ways, math.comb(num, other)))
                total += chance * both / num * math.log(num * both / (size * other))
    return total


def two_partitions(largest):
    return st.integers(2, largest).flatmap(
        lambda num: st.tuples(*[st.lists(st.integers(-3, 4), min_size=num, max_size=num) for _ in range(2)])
    )


def scikit_learn():
    return pytest.importorskip("sklearn.metrics", reason="scikit-learn is not installed")


@examples(100, derandomize=True)
@given(two_partitions(40))
def test_nmi_equals_loops(both):
    H_class, H_cluster = map(entropy_by_loops, both)
    if H_class and H_cluster:
        information = information_by_loops(*both)
        assert nmi(*both) == pytest.approx(2 * information / (H_class + H_cluster), abs=1e-12)
        geometric = information / math.sqrt(H_class * H_cluster)
        assert nmi(*both, average="geometric") == pytest.approx(geometric, abs=1e-12)
    assert 0 <= nmi(*both) <= nmi(*both, average="geometric") + 1e-15
    assert nmi(*both, average="geometric") <= 1
    assert nmi(*both) == pytest.approx(nmi(*both[::-1]), abs=1e-12)


@examples(50, derandomize=True)
@given(two_partitions(40))
@pytest.mark.parametrize("average", ["arithmetic", "geometric"])
def test_nmi_equals_scikit_learn(average, both):
    expected = scikit_learn().normalized_mutual_info_score(*both, average_method=average)
    assert nmi(*both, average) == pytest.approx(expected, abs=1e-12)


@examples(100, derandomize=True)
@given(two_partitions(25))
def test_f1_equals_loops_over_pairs(both):
    expected = f1_by_loops(*both)
    assert pairwise_f1(*both) == (1 if expected is None else pytest.approx(float(expected), abs=1e-15))
    assert pairwise_f1(*both) == pairwise_f1(*both[::-1])


@examples(50, derandomize=True)
@given(two_partitions(40))
def test_f1_equals_scikit_learns_pairs(both):
    (_, wrong), (missed, correct) = scikit_learn().pair_confusion_matrix(*both).tolist()
    if correct + wrong + missed:
        assert pairwise_f1(*both) == pytest.approx(2 * correct / (2 * correct + wrong + missed), abs=1e-15)


@examples(100, derandomize=True)
@given(two_partitions(40))
def test_ami_equals_scikit_learn(both):
    assert ami(*both) == pytest.approx(scikit_learn().adjusted_mutual_info_score(*both), abs=1e-10)


@examples(50, derandomize=True)
@given(two_partitions(60))
def test_expected_information_equals_fractions(both):
    sizes = [list(Counter(values).values()) for values in both]
    actual = expected_information(*(np.array(counts, np.int64) for counts in sizes))
    assert actual == pytest.approx(expected_by_fractions(*sizes), abs=1e-13)


@pytest.mark.parametrize("name", CASES)
def test_of_clusters_of_embeddings_they_equal_what_pytorch_metric_learning_recorded(name):
    peers = json.loads(Path(__file__).with_name("peers.json").read_text())["cases"][name]["pytorch-metric-learning"]
    peer_case = case(name)
    assert nmi(peer_case.query_labels, peer_case.clusters) == pytest.approx(peers["NMI"], abs=1e-12)
    assert ami(peer_case.query_labels, peer_case.clusters) == pytest.approx(peers["AMI"], abs=1e-11)


def test_expected_information_is_the_mean_over_all_orders():
    labels, clusters = [0, 0, 0, 1, 1, 2, 2], [0, 0, 1, 1, 1, 1, 2]
    every = [information_by_loops(labels, list(order)) for order in permutations(clusters)]
    assert expected_information(np.array([3, 2, 2]), np.array([2, 4, 1])) == pytest.approx(np.mean(every), abs=1e-13)


def expected_by_log_factorials(class_sizes, cluster_sizes):
    num, total = sum(class_sizes), 0.0

    def log_choose(n, k):
        return math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1)

    for size in class_sizes:
        for other in cluster_sizes:
            for both in range(max(1, size + other - num), min(size, other) + 1):
                ways = log_choose(size, both) + log_choose(num - size, other - both) - log_choose(num, other)
                total += math.exp(ways) * both / num * math.log(num * both / (size * other))
    return total


def test_expected_information_of_large_sizes():
    """Logarithms of such factorials keep ten digits."""
    sizes, others = [60_000, 500, 2], [60_002, 500]
    actual = expected_information(np.array(sizes), np.array(others))
    assert actual == pytest.approx(expected_by_log_factorials(sizes, others), rel=1e-8)


def test_many_classes():
    """As many rows, classes and clusters as in Stanford Online Products' test half, about."""
    rng = np.random.default_rng(0)
    labels = np.repeat(np.arange(11_316), 5)
    clusters = np.where(rng.random(len(labels)) < 0.5, labels, rng.integers(11_316, size=len(labels)))
    assert nmi(labels, clusters) == pytest.approx(
        scikit_learn().normalized_mutual_info_score(labels, clusters), abs=1e-12
    )
    assert 0.2 < ami(labels, clusters) < 0.5
    assert ami(labels, rng.integers(11_316, size=len(labels))) == pytest.approx(0, abs=3e-3)


def test_a_million_rows_in_one_cluster():
    rows = np.arange(1_000_000)
    pairs = 1_000_000 * 999_999 // 2  # beyond 32 bits
    of_two = 1_000_000 * 499_999 // 2
    assert pairwise_f1(rows % 2, np.zeros(len(rows), np.int8)) == 2 * of_two / (pairs + of_two)
    assert pairwise_f1(rows * 0, rows * 0) == 1


@pytest.mark.parametrize("measure", MEASURES)
def test_the_same_partition_under_other_names(measure):
    assert measure(["car", "tram", "car", "bus"], [7, 1, 7, -2]) == pytest.approx(1, abs=1e-14)


@pytest.mark.parametrize(("measure", "expected"), [(nmi, 0), (pairwise_f1, 0), (ami, -0.5)])
def test_clusters_that_tell_nothing(measure, expected):
    assert measure([0, 0, 1, 1], [0, 1, 0, 1]) == pytest.approx(expected, abs=1e-15)


def test_rounding_does_not_leave_0_to_1():
    """Without care these give -4e-16 and 1 + 2e-16."""
    assert nmi(np.repeat([0, 1, 2], 3), np.tile([0, 1, 2], 3)) >= 0
    sizes = [5, 4, 5, 1, 3]
    assert nmi(np.repeat([0, 1, 2, 3, 4], sizes), np.repeat([3, 0, 4, 2, 1], sizes)) <= 1


@pytest.mark.parametrize("measure", [*MEASURES, partial(nmi, average="geometric")])
@pytest.mark.parametrize(
    ("labels", "clusters", "expected"),
    [
        ([3, 3], [1, 1], 1),
        ([0], [0], 1),
        ([0, 1], [0, 0], 0),
        ([0, 0], [0, 1], 0),
        ([0, 1, 2], [2, 1, 0], 1),  # no two rows together in either
    ],
)
def test_partitions_that_are_constant_or_without_pairs(measure, labels, clusters, expected):
    assert measure(labels, clusters) == pytest.approx(expected, abs=1e-15)


@pytest.mark.parametrize("measure", [pairwise_f1, ami])
def test_one_partition_without_pairs(measure):
    assert measure([0, 1, 2], [0, 0, 1]) == pytest.approx(0, abs=1e-15)


@pytest.mark.parametrize("measure", MEASURES)
@pytest.mark.parametrize(
    ("labels", "clusters", "message"),
    [
        ([0, 1], [0], "do not match"),
        ([[0, 1]], [[0, 1]], "do not match"),
        ([], [], "at least 1 row"),
    ],
)
def test_bad_input(measure, labels, clusters, message):
    with pytest.raises(DataError, match=message):
        measure(labels, clusters)


def test_an_average_that_is_not_there():
    with pytest.raises(ConfigError, match=r"average 'max' is unknown\. Choose one of arithmetic, geometric"):
        nmi([0, 1], [0, 1], average="max")


def test_the_examples_of_the_docstrings():
    actual = doctest.testmod(partitions)
    assert actual.attempted >= 4
    assert actual.failed == 0
