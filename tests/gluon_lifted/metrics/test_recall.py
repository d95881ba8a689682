"""recall_at_k against plain loops over sorted lists."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gluon_lifted.errors import DataError
from gluon_lifted.metrics.recall import recall_at_k


def recall_by_loops(embedding, labels, k):
    hits = 0
    for query, row in enumerate(embedding):
        others = [i for i in range(len(embedding)) if i != query]
        others.sort(key=lambda i: (sum((row[d] - embedding[i][d]) ** 2 for d in range(len(row))), i))
        hits += any(labels[i] == labels[query] for i in others[:k])
    return hits / len(embedding)


@settings(max_examples=60, deadline=None)
@given(st.integers(2, 40), st.integers(1, 6), st.integers(1, 8), st.integers(0, 2**32 - 1))
def test_equals_loops_with_ties_and_duplicates(num_rows, num_classes, scale, seed):
    rng = np.random.default_rng(seed)
    embedding = rng.integers(-scale, scale + 1, (num_rows, 3)).astype(float)  # small integers: many exact ties
    embedding -= embedding.mean(axis=0).round()
    labels = rng.integers(num_classes, size=num_rows)
    ks = (1, 2, 4, num_rows)
    assert recall_at_k(embedding, labels, ks) == {k: recall_by_loops(embedding, labels, k) for k in ks}


def test_far_from_the_origin():
    """Distances of 1e-3 at a norm of 1e3: |x|^2 + |y|^2 - 2xy in float32 would be noise."""
    embedding = np.array([[1000.0], [1000.001], [1000.003], [1000.004]], np.float64)
    assert recall_at_k(embedding, [0, 0, 1, 1], (1,)) == {1: 1.0}


def test_class_of_one_is_a_miss_and_labels_may_be_text():
    assert recall_at_k([[0.0], [1.0], [5.0]], ["car", "car", "tram"], (1, 2)) == {1: 2 / 3, 2: 2 / 3}


@pytest.mark.parametrize(
    ("embedding", "labels", "ks", "message"),
    [
        ([[0.0], [float("nan")]], [0, 0], (1,), "row 1 is not finite"),
        ([[0.0]], [0], (1,), "at least 2 images"),
        ([[0.0], [1.0]], [0, 0], (0,), "expected ranks from 1 on"),
        ([[0.0], [1.0]], [0, 0], 1, "ks is 1; expected ranks"),
        ([[0.0], [1.0]], [0], (1,), "do not match"),
    ],
)
def test_bad_input(embedding, labels, ks, message):
    with pytest.raises(DataError, match=message):
        recall_at_k(embedding, labels, ks)
