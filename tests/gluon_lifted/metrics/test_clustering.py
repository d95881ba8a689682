"""kmeans against known clusters, cluster_scores against its parts."""

import sys
from dataclasses import replace

import numpy as np
import pytest

from gluon_lifted.errors import DataError, MissingPackageError
from gluon_lifted.metrics.clustering import (
    AUTHORS,
    MODERN,
    Clustering,
    cluster_scores,
    kmeans,
)
from gluon_lifted.metrics.partitions import ami, nmi, pairwise_f1


def needs_scikit_learn():
    pytest.importorskip("sklearn", reason="scikit-learn is not installed")


def blobs(num_clusters=6, each=20, dtype=np.float32):
    rng = np.random.default_rng(0)
    labels = rng.permutation(np.repeat(np.arange(num_clusters), each))
    centers = 10.0 * np.eye(num_clusters)
    return (centers[labels] + rng.normal(size=(len(labels), num_clusters))).astype(dtype), labels


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_kmeans_finds_blobs_when_it_may_start_often(dtype):
    needs_scikit_learn()
    rows, labels = blobs(dtype=dtype)
    clusters = kmeans(rows, 6, seed=0, protocol=replace(AUTHORS, n_init=50))
    assert clusters.shape == labels.shape
    assert clusters.dtype == np.int64
    assert nmi(labels, clusters) == pytest.approx(1)


@pytest.mark.parametrize(("protocol", "successes"), [(AUTHORS, range(10)), (replace(MODERN, n_init=1), range(16, 21))])
def test_kmeans_starts_as_its_protocol_says(protocol, successes):
    """All six blobs are met by 6! / 6^6 = 1.5 % of starts from random rows, and by nearly all of k-means++."""
    needs_scikit_learn()
    rows, labels = blobs()
    assert sum(nmi(labels, kmeans(rows, 6, seed, protocol)) > 0.999 for seed in range(20)) in successes


def test_kmeans_ends_where_nothing_changes():
    """Every row is in the cluster whose mean is nearest to it."""
    needs_scikit_learn()
    rows = np.random.default_rng(1).normal(size=(600, 2))
    clusters = kmeans(rows, 25, seed=3)
    np.testing.assert_array_equal(clusters, nearest_mean(rows, clusters))


@pytest.mark.parametrize("change", [{"max_iter": 2}, {"tol": 0.5}])
def test_kmeans_ends_earlier_where_its_protocol_says(change):
    needs_scikit_learn()
    rows = np.random.default_rng(1).normal(size=(600, 2))
    clusters = kmeans(rows, 25, seed=3, protocol=replace(AUTHORS, **change))
    assert (clusters != nearest_mean(rows, clusters)).any()


def nearest_mean(rows, clusters):
    means = np.array([rows[clusters == cluster].mean(axis=0) for cluster in range(clusters.max() + 1)])
    return np.linalg.norm(rows[:, None] - means, axis=2).argmin(axis=1)


def test_the_seed_decides_the_clusters():
    needs_scikit_learn()
    rows = np.random.default_rng(1).normal(size=(200, 2))
    seeds = [0, 2**31, 2**70]
    first, second = ([kmeans(rows, 9, seed) for seed in seeds] for _ in range(2))
    np.testing.assert_array_equal(first, second)
    assert nmi(first[0], first[1]) < 0.99


@pytest.mark.parametrize("protocol", [AUTHORS, MODERN])
@pytest.mark.parametrize("k", [1, 3, 5])
def test_kmeans_of_equal_rows(k, protocol):
    needs_scikit_learn()
    assert len(set(kmeans(np.ones((5, 2)), k, seed=0, protocol=protocol))) == 1


@pytest.mark.parametrize(
    ("rows", "k", "message"),
    [
        (np.zeros(3), 1, r"\(3,\) cannot be clustered"),
        (np.array([[0.0], [np.nan]]), 1, "all values finite"),
        (np.zeros((3, 2)), 4, "k is 4; expected 1 to 3"),
        (np.zeros((3, 2)), 0, "k must be 1 to 3"),
        (np.zeros((0, 2)), 1, "k is 1; expected 1 to 0"),
    ],
)
def test_kmeans_of_bad_input(rows, k, message):
    with pytest.raises(DataError, match=message):
        kmeans(rows, k, seed=0)


@pytest.mark.parametrize("protocol", [AUTHORS, MODERN])
def test_cluster_scores_are_those_of_its_clusters(protocol):
    needs_scikit_learn()
    rows = np.random.default_rng(2).normal(size=(90, 3))
    labels = np.array([f"class {number % 7}" for number in range(90)])
    rows[labels == "class 0"] += 2
    clusters = kmeans(rows, 7, seed=5, protocol=protocol)
    assert cluster_scores(rows, labels, seed=5, protocol=protocol) == Clustering(
        protocol=protocol.name,
        k=7,
        n_init=protocol.n_init,
        seed=5,
        nmi=nmi(labels, clusters),
        nmi_geometric=nmi(labels, clusters, average="geometric"),
        f1=pairwise_f1(labels, clusters),
        ami=ami(labels, clusters),
    )


@pytest.mark.parametrize(
    ("rows", "labels", "message"),
    [
        (np.zeros((3, 2)), [0, 1], r"embedding \(3, 2\) and labels \(2,\) do not match"),
        (np.zeros((3, 2)), [[0], [1], [1]], "do not match"),
        (np.zeros((0, 2)), [], "k is 0; expected 1 to 0"),
        (np.full((3, 2), np.inf), [0, 0, 1], "all values finite"),
    ],
)
def test_cluster_scores_of_bad_input(rows, labels, message):
    with pytest.raises(DataError, match=message):
        cluster_scores(rows, labels, seed=0)


def test_without_scikit_learn(monkeypatch):
    monkeypatch.setitem(sys.modules, "sklearn", None)
    with pytest.raises(MissingPackageError, match=r"pip install .*\[report\]"):
        kmeans(np.zeros((3, 2)), 1, seed=0)
