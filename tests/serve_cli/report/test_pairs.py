import itertools
import math

import numpy as np
import pytest

from serve_cli.report import pairs
from serve_cli.report.pairs import negative_pairs, pair_distances, positive_pairs
from tests.serve_cli.report.made import blobs, embeddings_of


def distances_by_loops(embeddings, same):
    points = embeddings.embedding.astype(np.float64)
    return [
        math.dist(points[a], points[b])
        for a, b in itertools.combinations(range(len(embeddings)), 2)
        if (embeddings.labels[a] == embeddings.labels[b]) == same
    ]


def test_all_pairs_where_there_are_few(monkeypatch):
    monkeypatch.setattr(pairs, "BLOCK", 10)
    embeddings = blobs([4, 7, 1, 3])
    measured = pair_distances(embeddings, seed=0)
    near, far = distances_by_loops(embeddings, True), distances_by_loops(embeddings, False)
    assert measured.num_positive == measured.all_positive == len(near)
    assert measured.num_negative == measured.all_negative == len(far)
    assert measured.edges[0] == 0
    assert measured.edges[-1] == pytest.approx(max(near + far))
    for shares, distances in ((measured.positive, near), (measured.negative, far)):
        assert shares.sum() == pytest.approx(1)
        for low, high, share in zip(measured.edges, measured.edges[1:], shares, strict=False):
            inside = sum(low <= distance < high for distance in distances)
            assert share == pytest.approx(inside / len(distances), abs=1.01 / 20)
    assert measured.median_positive == pytest.approx(np.median(near))
    assert measured.median_negative == pytest.approx(np.median(far))
    both = sum(min(a, b) for a, b in zip(measured.positive, measured.negative, strict=True))
    assert measured.overlap == pytest.approx(both)


def test_drawn_pairs_are_of_their_kind_and_each_as_likely(monkeypatch):
    """With 40,000 draws each of the pairs comes up about as often; 5 standard deviations are allowed."""
    monkeypatch.setattr(pairs, "PAIRS", 40)
    embeddings = blobs([3, 6, 1, 9])
    rng = np.random.default_rng(0)
    for draw, same in ((positive_pairs, True), (negative_pairs, False)):
        counts = {}
        for _ in range(1000):
            for a, b in draw(embeddings, rng).tolist():
                assert a != b
                assert (embeddings.labels[a] == embeddings.labels[b]) == same
                counts[min(a, b), max(a, b)] = counts.get((min(a, b), max(a, b)), 0) + 1
        every = len(distances_by_loops(embeddings, same))
        assert len(counts) == every
        mean = 40_000 / every
        assert all(abs(count - mean) < 5 * mean**0.5 for count in counts.values())


def test_a_sample_says_so_and_depends_on_its_seed(monkeypatch):
    monkeypatch.setattr(pairs, "PAIRS", 30)
    embeddings = blobs([12, 12, 12])
    measured, again, other = (pair_distances(embeddings, seed) for seed in (1, 1, 2))
    assert (measured.num_positive, measured.all_positive) == (30, 3 * 66)
    assert (measured.num_negative, measured.all_negative) == (30, 3 * 144)
    assert measured.median_positive == again.median_positive != other.median_positive


def test_kinds_that_are_not_there(monkeypatch):
    one_class = pair_distances(embeddings_of([[0.0], [1.0], [3.0]], [0, 0, 0]), seed=0)
    assert (one_class.num_positive, one_class.num_negative) == (3, 0)
    assert math.isnan(one_class.median_negative)
    no_pairs = pair_distances(embeddings_of([[0.0], [1.0]], [0, 1]), seed=0)
    assert (no_pairs.num_positive, no_pairs.num_negative) == (0, 1)
    same = pair_distances(embeddings_of([[1.0], [1.0], [1.0]], [0, 0, 1]), seed=0)
    assert same.positive[0] == same.negative[0] == same.overlap == 1
    monkeypatch.setattr(pairs, "PAIRS", 2)
    assert len(negative_pairs(embeddings_of([[0.0], [1.0], [3.0]], [0, 0, 0]), np.random.default_rng(0))) == 0
