"""nmi against plain-loop entropies and scikit-learn; kmeans against clusters that are there to be found."""

import doctest
import math
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gluon_lifted.errors import DataError, MissingPackageError
from gluon_lifted.metrics import clustering
from gluon_lifted.metrics.clustering import kmeans, nmi


def nmi_by_loops(labels, clusters):
    """I as the sum over pairs of class and cluster, 2 I / (H + H)."""
    num = len(labels)

    def entropy(values):
        return -sum(values.count(one) / num * math.log(values.count(one) / num) for one in set(values))

    information = 0.0
    for one in set(labels):
        for other in set(clusters):
            both = sum(a == one and b == other for a, b in zip(labels, clusters, strict=True))
            if both:
                information += both / num * math.log(num * both / (labels.count(one) * clusters.count(other)))
    return 2 * information / (entropy(labels) + entropy(clusters))


partitions = st.integers(2, 40).flatmap(
    lambda num: st.tuples(*[st.lists(st.integers(-3, 4), min_size=num, max_size=num) for _ in range(2)])
)


@settings(max_examples=100, deadline=None, derandomize=True)
@given(partitions)
def test_nmi_equals_loops(both):
    labels, clusters = both
    if len(set(labels)) + len(set(clusters)) > 2:
        assert nmi(labels, clusters) == pytest.approx(nmi_by_loops(labels, clusters), abs=1e-12)
    assert 0 <= nmi(labels, clusters) <= 1
    assert nmi(labels, clusters) == pytest.approx(nmi(clusters, labels), abs=1e-12)


@settings(max_examples=50, deadline=None, derandomize=True)
@given(partitions)
def test_nmi_equals_scikit_learn(both):
    metrics = pytest.importorskip("sklearn.metrics", reason="scikit-learn is not installed")
    expected = metrics.normalized_mutual_info_score(*both, average_method="arithmetic")
    assert nmi(*both) == pytest.approx(expected, abs=1e-12)


def test_nmi_of_many_classes():
    metrics = pytest.importorskip("sklearn.metrics", reason="scikit-learn is not installed")
    rng = np.random.default_rng(0)
    labels = np.repeat(np.arange(11_316), 5)  # Stanford Online Products
    clusters = np.where(rng.random(len(labels)) < 0.5, labels, rng.integers(11_316, size=len(labels)))
    assert nmi(labels, clusters) == pytest.approx(metrics.normalized_mutual_info_score(labels, clusters), abs=1e-12)


def test_nmi_is_1_for_the_same_partition_under_other_names():
    assert nmi(["car", "tram", "car", "bus"], [7, 1, 7, -2]) == pytest.approx(1, abs=1e-15)


def test_nmi_is_0_where_clusters_tell_nothing():
    assert nmi([0, 0, 1, 1], [0, 1, 0, 1]) == pytest.approx(0, abs=1e-15)


def test_rounding_does_not_leave_0_to_1():
    """Without care these give -4e-16 and 1 + 2e-16."""
    assert nmi(np.repeat([0, 1, 2], 3), np.tile([0, 1, 2], 3)) >= 0
    sizes = [5, 4, 5, 1, 3]
    assert nmi(np.repeat([0, 1, 2, 3, 4], sizes), np.repeat([3, 0, 4, 2, 1], sizes)) <= 1


@pytest.mark.parametrize(
    ("labels", "clusters", "expected"), [([3, 3], [1, 1], 1.0), ([0], [0], 1.0), ([0, 1], [0, 0], 0.0)]
)
def test_nmi_of_constant_partitions(labels, clusters, expected):
    assert nmi(labels, clusters) == expected


@pytest.mark.parametrize(
    ("labels", "clusters", "message"),
    [
        ([0, 1], [0], "do not match"),
        ([[0, 1]], [[0, 1]], "do not match"),
        ([], [], "at least 1 row"),
    ],
)
def test_nmi_of_bad_input(labels, clusters, message):
    with pytest.raises(DataError, match=message):
        nmi(labels, clusters)


def test_the_example_of_the_docstring():
    assert doctest.testmod(clustering).failed == 0


def blobs(num_clusters=6, each=20, dtype=np.float32):
    rng = np.random.default_rng(0)
    labels = rng.permutation(np.repeat(np.arange(num_clusters), each))
    centres = 10.0 * np.eye(num_clusters)
    return (centres[labels] + rng.normal(size=(len(labels), num_clusters))).astype(dtype), labels


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_kmeans_finds_blobs_when_it_may_start_often(dtype):
    pytest.importorskip("sklearn", reason="scikit-learn is not installed")
    rows, labels = blobs(dtype=dtype)
    clusters = kmeans(rows, 6, seed=0, n_init=50)
    assert clusters.shape == labels.shape
    assert clusters.dtype == np.int64
    assert nmi(labels, clusters) == pytest.approx(1)


def test_kmeans_starts_from_rows_at_random_as_the_authors_do():
    """All six blobs are met by 6! / 6^6 = 1.5 % of such starts, and by nearly all of k-means++."""
    pytest.importorskip("sklearn", reason="scikit-learn is not installed")
    rows, labels = blobs()
    found = sum(nmi(labels, kmeans(rows, 6, seed)) > 0.999 for seed in range(20))
    assert found < 10


def test_kmeans_ends_where_nothing_changes():
    """Every row is in the cluster whose mean is nearest to it."""
    pytest.importorskip("sklearn", reason="scikit-learn is not installed")
    rows = np.random.default_rng(1).normal(size=(600, 2))
    clusters = kmeans(rows, 25, seed=3)
    means = np.array([rows[clusters == one].mean(axis=0) for one in range(25)])
    nearest = np.linalg.norm(rows[:, None] - means, axis=2).argmin(axis=1)
    np.testing.assert_array_equal(clusters, nearest)


def test_the_seed_decides_the_clusters():
    pytest.importorskip("sklearn", reason="scikit-learn is not installed")
    rows = np.random.default_rng(1).normal(size=(200, 2))
    seeds = [0, 2**31, 2**70]
    one, two = ([kmeans(rows, 9, seed) for seed in seeds] for _ in range(2))
    np.testing.assert_array_equal(one, two)
    assert nmi(one[0], one[1]) < 0.99


@pytest.mark.parametrize("k", [1, 3, 5])
def test_kmeans_of_equal_rows(k):
    pytest.importorskip("sklearn", reason="scikit-learn is not installed")
    assert len(set(kmeans(np.ones((5, 2)), k, seed=0))) == 1


@pytest.mark.parametrize(
    ("rows", "k", "message"),
    [
        (np.zeros(3), 1, r"\(3,\) cannot be clustered"),
        (np.array([[0.0], [np.nan]]), 1, "all values finite"),
        (np.zeros((3, 2)), 4, "3 rows cannot make 4 clusters"),
        (np.zeros((3, 2)), 0, "k must be 1 to 3"),
        (np.zeros((0, 2)), 1, "0 rows cannot make 1"),
    ],
)
def test_kmeans_of_bad_input(rows, k, message):
    with pytest.raises(DataError, match=message):
        kmeans(rows, k, seed=0)


def test_without_scikit_learn(monkeypatch):
    monkeypatch.setitem(sys.modules, "sklearn", None)
    with pytest.raises(MissingPackageError, match=r"pip install 'gluon-lifted\[train\]'"):
        kmeans(np.zeros((3, 2)), 1, seed=0)
