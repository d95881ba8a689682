"""Recall of several embeddings of the same images: against plain loops, and through JSON."""

import json
import math

import numpy as np
import pytest

from gluon_lifted.metrics.recall_comparison import (
    KS,
    RecallComparison,
    estimate_to_json,
    measure_recall,
)
from tests.gluon_lifted.metrics.ranking_loops import ranked_hits

LABELS = np.repeat(np.arange(5), 4)


def rows_of(seed, dim=3, noise=1.0):
    rng = np.random.default_rng(seed)
    return (rng.normal(size=(5, dim))[LABELS] + noise * rng.normal(size=(20, dim)) + 2).astype(np.float32)


@pytest.mark.parametrize("distance", ["euclidean", "cosine"])
@pytest.mark.parametrize("seed", range(4))
def test_recall_is_that_of_loops(seed, distance):
    rows = rows_of(seed)
    (embedding,) = measure_recall("rows", rows, LABELS, distance)
    floats = rows.astype(np.float64).tolist()
    hits = [ranked_hits(floats[i], LABELS[i], floats, LABELS, i, distance) for i in range(20)]
    assert embedding.hits.tolist() == [ranking[0] for ranking in hits]
    for k in KS:
        assert embedding.recall[k].value == pytest.approx(sum(any(ranking[:k]) for ranking in hits) / 20)
        assert embedding.recall[k].low <= embedding.recall[k].value <= embedding.recall[k].high
    assert (embedding.dim, embedding.distance) == (3, distance)


def test_a_row_of_zeros_is_compared_by_euclidean_distance():
    rows = rows_of(0)
    rows[3] = 0
    (cosine,), (euclidean,) = measure_recall("rows", rows, LABELS, "cosine"), measure_recall("rows", rows, LABELS)
    assert cosine.distance == "euclidean"
    np.testing.assert_array_equal(cosine.hits, euclidean.hits)


def test_rows_that_are_not_finite_are_not_measured():
    rows = rows_of(0)
    rows[3, 1] = np.nan
    assert measure_recall("rows", rows, LABELS) == ()


@pytest.fixture
def comparison():
    return RecallComparison(
        "validation",
        LABELS,
        (
            *measure_recall("good", rows_of(1, noise=0.01), LABELS),
            *measure_recall("bad", rows_of(1, noise=9.0), LABELS, "cosine"),
        ),
    )


def test_the_difference_is_paired_and_has_a_sign(comparison):
    good, bad = comparison.get("good"), comparison.get("bad")
    difference = comparison.difference(good, bad)
    assert difference.value == pytest.approx(good.hits.mean() - bad.hits.mean())
    assert 0 < difference.low <= difference.value <= difference.high
    assert comparison.difference(bad, good).high < 0
    assert comparison.get("other") is None


def test_images_are_described_with_their_classes(comparison):
    assert comparison.images == "20 images of 5 validation classes"


def test_what_is_written_is_read_back(comparison):
    text = json.dumps(comparison.to_json_with_hits())
    again = RecallComparison.from_json(json.loads(text), LABELS)
    assert again.to_json_with_hits() == comparison.to_json_with_hits()
    assert json.loads(text)["embeddings"][1]["hits"].count("1") == comparison.get("bad").hits.sum()
    assert "hits" not in json.dumps(comparison.to_json())


@pytest.mark.parametrize(
    "change",
    [
        {"images": 19},
        {"classes": 4},
        {"embeddings": [{"name": "a", "dim": 1, "distance": "euclidean", "recall": {}, "hits": "01"}]},
        {"embeddings": [{"name": "a", "dim": 1, "distance": "angle", "recall": {}, "hits": "0" * 20}]},
        {"embeddings": [{"name": "a", "dim": 1, "distance": "cosine", "recall": {"1": {}}, "hits": "0" * 20}]},
        {"embeddings": 3},
        {"embeddings": [3]},
    ],
)
def test_recall_of_other_images_or_damaged_is_refused(comparison, change):
    with pytest.raises((KeyError, TypeError, ValueError)):
        RecallComparison.from_json(comparison.to_json_with_hits() | change, LABELS)


def test_one_class_alone_has_no_interval():
    (embedding,) = measure_recall("rows", rows_of(0)[:4], LABELS[:4])
    assert math.isnan(embedding.recall[1].low)
    assert estimate_to_json(embedding.recall[1]) == {"value": 1.0, "low": None, "high": None}
