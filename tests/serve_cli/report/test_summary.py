import doctest
import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gluon_lifted.metrics.bootstrap import ClassBootstrap
from gluon_lifted.metrics.ranking.search import Search
from gluon_lifted.metrics.retrieval import retrieval_scores
from serve_cli.evaluate.metrics import MRR
from serve_cli.report import summary
from serve_cli.report.summary import (
    chance_recall,
    class_lines,
    curve_ks,
    summarize,
)
from tests.serve_cli.report.made import blobs, embeddings_of


def ranks_by_sorting(embeddings):
    """Rank of the first of the same class, or None, query by query."""
    points = embeddings.embedding.astype(np.float64)
    ranks = []
    for query in range(len(embeddings)):
        others = [other for other in range(len(embeddings)) if other != query]
        others.sort(key=lambda other: (((points[other] - points[query]) ** 2).sum(), other))
        hits = [rank for rank, other in enumerate(others, 1) if embeddings.labels[other] == embeddings.labels[query]]
        ranks.append(hits[0] if hits else None)
    return ranks


def test_recall_and_curve_against_sorting():
    embeddings = blobs([5, 8, 1, 12], spread=1.5)
    ranks = ranks_by_sorting(embeddings)
    scores = retrieval_scores(Search.leave_one_out(embeddings.embedding, embeddings.labels))
    summary = summarize(scores, embeddings.labels, (2, 4, 100))
    for k in (1, 2, 4):
        assert summary.recall[k] == pytest.approx(sum(rank is not None and rank <= k for rank in ranks) / len(ranks))
    assert list(summary.recall) == [1, 2, 4]  # 1 always, 100 is beyond the gallery
    assert summary.lone == 1
    assert summary.at_1 == ClassBootstrap(embeddings.labels).interval([rank == 1 for rank in ranks])
    assert summary.at_1.low < summary.at_1.value < summary.at_1.high
    for point in summary.curve:
        assert point.recall == sum(rank is not None and rank <= point.k for rank in ranks) / len(ranks)
    mrr = next(mean for metric, mean in summary.metrics if metric is MRR)
    assert mrr == pytest.approx(sum(1 / rank for rank in ranks if rank) / len(ranks))


def test_metrics_of_lone_queries_alone_are_undefined():
    scores = retrieval_scores(Search.leave_one_out([[0.0], [1.0], [2.0]], [0, 1, 2]))
    summary = summarize(scores, np.arange(3), (1,))
    assert summary.recall == {1: 0.0}
    assert summary.lone == 3
    assert {metric.name: mean for metric, mean in summary.metrics if not math.isnan(mean)} == {"MRR": 0}


@pytest.mark.parametrize(("positives", "gallery", "k"), [(1, 5, 2), (3, 6, 2), (2, 4, 4), (0, 3, 1), (4, 6, 3)])
def test_chance_is_what_all_orders_give(positives, gallery, k):
    """Every way to draw k of the gallery, counted."""
    draws = list(itertools.combinations([True] * positives + [False] * (gallery - positives), k))
    expected = sum(any(draw) for draw in draws) / len(draws)
    assert chance_recall(np.array([positives]), gallery, k) == pytest.approx(expected)


@given(st.lists(st.integers(0, 30), min_size=1, max_size=9), st.integers(30, 60))
def test_chance_grows_with_k(positives, gallery):
    values = [chance_recall(np.array(positives), gallery, k) for k in range(1, gallery + 1)]
    assert values == sorted(values)
    assert values[-1] == pytest.approx(np.mean(np.array(positives) > 0))


@given(st.integers(1, 5000))
def test_curve_reaches_from_one_to_its_end(gallery):
    ks = curve_ks(gallery)
    assert ks[0] == 1
    assert ks[-1] == min(gallery, 1024)
    assert ks == sorted(set(ks))
    assert set(ks) >= {2**power for power in range(11) if 2**power <= gallery}


def test_classes_against_loops():
    embeddings = blobs([6, 9, 1, 12, 9], spread=1.5)
    scores = retrieval_scores(Search.leave_one_out(embeddings.embedding, embeddings.labels))
    points = embeddings.embedding.astype(np.float64)
    nearest_other = np.array(
        [
            min(
                (other for other in range(len(embeddings)) if embeddings.labels[other] != embeddings.labels[row]),
                key=lambda other: ((points[other] - points[row]) ** 2).sum(),
            )
            for row in range(len(embeddings))
        ]
    )
    lines = class_lines(embeddings, scores, nearest_other)
    assert [line.recall for line in lines] == sorted(line.recall for line in lines)
    ranks = ranks_by_sorting(embeddings)
    for line in lines:
        members = [row for row in range(len(embeddings)) if embeddings.class_name(row) == line.name]
        assert line.images == len(members)
        assert line.recall == pytest.approx(sum(ranks[row] == 1 for row in members) / len(members))
        mean = sum(points[row] for row in members) / len(members)
        assert line.sample == min(members, key=lambda row: ((points[row] - mean) ** 2).sum())
        taken = [
            embeddings.class_name(nearest_other[row]) for row in members if ranks[row] is not None and ranks[row] > 1
        ]
        assert line.confused == (max(sorted(set(taken)), key=taken.count) if taken else None)


def test_of_equal_classes_the_larger_comes_first():
    embeddings = embeddings_of([[0.0], [0.1], [5.0], [5.1], [5.2], [9.0], [9.1]], [1, 1, 2, 2, 2, 0, 0])
    lines = class_lines(
        embeddings, retrieval_scores(Search.leave_one_out(embeddings.embedding, embeddings.labels)), None
    )
    assert [line.name for line in lines] == ["class 2", "class 0", "class 1"]
    assert all(line.confused is None for line in lines)


def test_examples():
    assert doctest.testmod(summary).failed == 0
