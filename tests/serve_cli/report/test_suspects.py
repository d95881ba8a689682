import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from serve_cli.report import suspects
from serve_cli.report.suspects import (
    Pair,
    find_suspects,
    nearest_of_both_kinds,
)
from tests.examples import examples
from tests.serve_cli.report.made import blobs, embeddings_of


def nearest_by_loops(embeddings, row, same):
    """Distance to the nearest other row of the same, or of another class."""
    points = embeddings.embedding.astype(np.float64)
    return min(
        (
            math.dist(points[row], points[other])
            for other in range(len(embeddings))
            if other != row and (embeddings.labels[other] == embeddings.labels[row]) == same
        ),
        default=math.inf,
    )


@examples(30)
@given(
    st.lists(st.tuples(st.integers(0, 3), st.integers(-9, 9), st.integers(-9, 9)), min_size=2, max_size=25),
    st.integers(1, 400),
)
def test_nearest_of_both_kinds_against_loops(items, block_bytes):
    classes = np.unique([item[0] for item in items], return_inverse=True)[1].tolist()
    embeddings = embeddings_of([item[1:] for item in items], classes)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(suspects, "BLOCK_BYTES", block_bytes)
        nearest = nearest_of_both_kinds(embeddings, seed=0)
    assert nearest.rows.tolist() == list(range(len(embeddings)))
    for row in range(len(embeddings)):
        assert nearest.same_distance[row] == pytest.approx(nearest_by_loops(embeddings, row, True))
        assert nearest.other_distance[row] == pytest.approx(nearest_by_loops(embeddings, row, False))
        for partner, same in ((nearest.same[row], True), (nearest.other[row], False)):
            assert partner == -1 or (embeddings.labels[partner] == embeddings.labels[row]) == same
            assert partner != row


def test_far_from_the_origin_pairs_are_still_found():
    """The matrix product of rows that are not centered would drown their differences."""
    embeddings = blobs([10, 10, 10])
    moved = embeddings_of(embeddings.embedding.astype(np.float64) + 1000, embeddings.labels.tolist())
    nearest = nearest_of_both_kinds(moved, seed=0)
    for row in range(len(moved)):
        assert nearest.same_distance[row] == pytest.approx(nearest_by_loops(moved, row, True), abs=1e-3)


def test_of_many_rows_some_are_compared(monkeypatch):
    monkeypatch.setattr(suspects, "MOST_ROWS", 12)
    embeddings = blobs([10, 10, 10])
    nearest, again = (nearest_of_both_kinds(embeddings, seed=5) for _ in range(2))
    assert len(set(nearest.rows.tolist())) == 12
    assert nearest.rows.tolist() == sorted(nearest.rows) == again.rows.tolist()
    assert set(nearest.same.tolist()) <= {-1, *nearest.rows.tolist()}
    assert find_suspects(nearest).compared == 12


def test_planted_copies_are_found_and_nothing_else():
    embeddings = blobs([10, 12, 9])
    embedding = embeddings.embedding.copy()
    embedding[3] = embedding[8]  # of class 0
    embedding[25] = embedding[1]  # of classes 2 and 0
    pairs = find_suspects(nearest_of_both_kinds(embeddings_of(embedding, embeddings.labels.tolist()), seed=0))
    assert pairs.duplicates == (Pair(3, 8, 0.0),)
    assert pairs.label_errors == (Pair(1, 25, 0.0),)
    assert (pairs.num_duplicates, pairs.num_label_errors, pairs.compared) == (1, 1, 31)
    nearest = [
        min(nearest_by_loops(embeddings_of(embedding, embeddings.labels.tolist()), row, same) for same in (True, False))
        for row in range(31)
    ]
    assert pairs.threshold == pytest.approx(0.1 * np.median(nearest))


def test_more_pairs_than_are_kept_are_counted(monkeypatch):
    monkeypatch.setattr(suspects, "CANDIDATES", 3)
    embeddings = embeddings_of([[number // 2] for number in range(20)], [0] * 20)
    pairs = find_suspects(nearest_of_both_kinds(embeddings, seed=0))
    assert (len(pairs.duplicates), pairs.num_duplicates) == (3, 10)
    assert [pair.first for pair in pairs.duplicates] == [0, 2, 4]
    assert pairs.label_errors == ()
