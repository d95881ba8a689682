"""Ranks and metrics against plain loops: ties, duplicates, missing classes, tiles, doubtful decisions, distances."""

import doctest
import math

import numpy as np
import pytest
from hypothesis import given, note
from hypothesis import strategies as st

from gluon_lifted.errors import ConfigError, DataError
from gluon_lifted.metrics import retrieval
from gluon_lifted.metrics.ranking import all_pairs, counting, positives, tile_ranking
from gluon_lifted.metrics.ranking.search import Search
from gluon_lifted.metrics.retrieval import NEVER, recall_at_k, retrieval_scores
from tests.examples import examples
from tests.gluon_lifted.metrics.ranking_loops import ranked_hits, scores_of


def check(search, distance, expected):
    """All scores of a search, with all positives and with only the first."""
    scores = retrieval_scores(search, distance, threads=2)
    first, counts, *of_all = zip(*expected, strict=True)
    np.testing.assert_array_equal(scores.first_rank, [NEVER if rank is None else rank for rank in first])
    np.testing.assert_array_equal(scores.positives, counts)
    np.testing.assert_allclose(
        [scores.r_precision(), scores.map_at_r(), scores.average_precision()], of_all, rtol=1e-12
    )
    np.testing.assert_array_equal(retrieval_scores(search, distance, only_first=True).first_rank, scores.first_rank)


def scores_among(embedding, labels, queries=None, distance="euclidean"):
    """What plain loops find for each query among all other rows."""
    chosen = range(len(labels)) if queries is None else queries
    rows = np.asarray(embedding, np.float64).tolist()
    return [scores_of(ranked_hits(rows[q], labels[q], rows, labels, q, distance)) for q in chosen]


def check_among(embedding, labels, queries=None, distance="euclidean"):
    expected = scores_among(embedding, labels, queries, distance)
    check(Search.leave_one_out(embedding, labels, queries), distance, expected)


WAYS = ("sorting", "comparing all", "comparing few")


def choose(monkeypatch, way, edge=8, panel=2):
    """Count in a fixed way for any number of levels, in small tiles."""
    monkeypatch.setattr(all_pairs, "EDGE", edge)
    monkeypatch.setattr(all_pairs, "PANEL", panel)
    monkeypatch.setattr(all_pairs, "FEW", 0 if way == "sorting" else 1000)
    monkeypatch.setattr(counting, "SPARSE", 0.1 if way == "comparing few" else 1 << 40)


integers = st.tuples(st.integers(2, 45), st.integers(1, 9), st.integers(1, 6), st.integers(0, 2**32 - 1))


def draw(case):
    """Small integers: many exact ties and duplicates."""
    num_rows, num_classes, scale, seed = case
    rng = np.random.default_rng(seed)
    embedding = rng.integers(-scale, scale + 1, (num_rows, 3)).astype(np.float32)
    return embedding, rng.integers(num_classes, size=num_rows).tolist(), rng


def check_all_ways(search, expected):
    for way in WAYS:
        note(way)
        with pytest.MonkeyPatch.context() as monkeypatch:
            choose(monkeypatch, way)
            check(search, "euclidean", expected)


@examples(60)
@given(case=integers)
def test_all_others_are_the_gallery(case):
    embedding, labels, _ = draw(case)
    check_all_ways(Search.leave_one_out(embedding, labels), scores_among(embedding, labels))


@examples(30)
@given(case=integers)
def test_some_rows_are_queries(case):
    embedding, labels, rng = draw(case)
    queries = rng.permutation(len(labels))[: rng.integers(1, len(labels) + 1)].tolist()
    check_all_ways(Search.leave_one_out(embedding, labels, queries), scores_among(embedding, labels, queries))


@pytest.mark.parametrize("way", WAYS)
def test_all_rows_are_queries_in_another_order(monkeypatch, way):
    choose(monkeypatch, way)
    embedding, labels, rng = draw((30, 3, 2, 0))
    check_among(embedding, labels, rng.permutation(30).tolist())


@examples(40)
@given(case=integers, others=integers)
def test_queries_and_gallery_are_different_sets(case, others):
    (embedding, labels, _), (gallery, names, _) = draw(case), draw(others)
    rows, items = embedding.tolist(), gallery.tolist()
    expected = [scores_of(ranked_hits(row, label, items, names)) for row, label in zip(rows, labels, strict=True)]
    check_all_ways(Search.query_gallery(embedding, labels, gallery, names), expected)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_cosine(monkeypatch, way, dtype):
    choose(monkeypatch, way)
    rng = np.random.default_rng(3)
    embedding = (rng.normal(size=(60, 4)) * rng.uniform(0.1, 50, (60, 1)) + 1).astype(dtype)
    check_among(embedding, rng.integers(8, size=60).tolist(), distance="cosine")


def test_cosine_takes_no_notice_of_length():
    embedding, labels = np.array([[1, 0], [9, 0.1], [0.5, 0.4]]), [0, 0, 1]
    assert retrieval_scores(Search.leave_one_out(embedding, labels), "cosine").first_rank[0] == 1
    assert retrieval_scores(Search.leave_one_out(embedding, labels)).first_rank[0] == 2


@pytest.mark.parametrize("way", WAYS)
def test_larger_than_a_tile_at_its_real_size(monkeypatch, way):
    choose(monkeypatch, way, all_pairs.EDGE, all_pairs.PANEL)
    rng = np.random.default_rng(5)
    labels = np.concatenate([np.repeat(np.arange(150), 7), np.arange(150, 190)])  # 40 classes of one
    embedding = rng.normal(size=(200, 6))[labels] + rng.normal(size=(len(labels), 6))
    order = rng.permutation(len(labels))
    embedding, labels = embedding[order].astype(np.float32), labels[order]
    distance = np.square(embedding[:, None].astype(float) - embedding).sum(axis=2)
    np.fill_diagonal(distance, np.inf)
    ranking = np.argsort(distance, axis=1, kind="stable")[:, :-1]
    expected = [scores_of((labels[line] == label).tolist()) for line, label in zip(ranking, labels, strict=True)]
    check(Search.leave_one_out(embedding, labels), "euclidean", expected)


def spy(monkeypatch, name, note):
    """Note something of every call of a method of TileRanker."""
    notes, method = [], getattr(tile_ranking.TileRanker, name)

    def noted(*arguments, **named):
        notes.append(note(*arguments, **named))
        return method(*arguments, **named)

    monkeypatch.setattr(tile_ranking.TileRanker, name, noted)
    return notes


@pytest.mark.parametrize("way", WAYS)
def test_near_ties_are_decided_as_float64_would(monkeypatch, way):
    """Rows on a sphere but for 1e-9 of its radius: float32 sees all of them equally far from the center, row 0."""
    choose(monkeypatch, way, all_pairs.EDGE, all_pairs.PANEL)
    rng = np.random.default_rng(0)
    directions = rng.normal(size=(200, 3))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    rows = 1000 + directions * (1 + 1e-9 * rng.permutation(200))[:, None]
    rows[0] = 1000
    doubts = spy(monkeypatch, "_closer", lambda self, doubts, *first: len(doubts.queries))
    check_among(rows, rng.permutation(np.repeat(np.arange(100), 2)).tolist())
    assert (sum(doubts) >= 190) == (way != "sorting")  # float64 has none here


def ways_taken(monkeypatch):
    """Note how each tile is computed, samples among them."""
    return spy(monkeypatch, "_tile", lambda self, way, queries, items: way)


def test_a_tile_with_too_many_doubts_is_computed_again_in_float64(monkeypatch):
    """Two clusters far apart: float32 cannot tell the rows of one from another."""
    choose(monkeypatch, "comparing all")
    rng = np.random.default_rng(1)
    rows = rng.normal(size=(40, 3)) + 1e4 * rng.integers(2, size=(40, 1))
    ways = ways_taken(monkeypatch)
    check_among(rows, rng.integers(6, size=40).tolist())
    assert tile_ranking.FLOAT64 in ways
    assert tile_ranking.DIFFERENCES not in ways


@pytest.mark.parametrize("way", WAYS)
def test_all_rows_the_same(monkeypatch, way):
    """No row differs from the center: products are exact, and no pair is compared again."""
    choose(monkeypatch, way)
    doubts = spy(monkeypatch, "_closer", lambda self, doubts, *blocks: len(doubts.queries))
    ways = ways_taken(monkeypatch)
    check_among(np.full((30, 2), 0.3, np.float32), [0, 1, 2] * 10)
    assert not doubts
    assert tile_ranking.DIFFERENCES not in ways


@pytest.mark.parametrize("way", WAYS)
def test_doubts_are_resolved_a_few_at_a_time(monkeypatch, way):
    """Each of 20 vectors on a circle occurs twice: ties that no product shows."""
    choose(monkeypatch, way)
    monkeypatch.setattr(tile_ranking, "PAIRS_AT_A_TIME", 3)
    monkeypatch.setattr(tile_ranking, "DOUBTS", {tile_ranking.FLOAT32: 1, tile_ranking.FLOAT64: 1})
    monkeypatch.setattr(tile_ranking, "SORTED_DOUBTS", 1)
    angles = np.repeat(np.random.default_rng(0).uniform(0, 6, 20), 2)
    sizes = spy(monkeypatch, "_closer", lambda self, doubts, *blocks: len(doubts.queries))
    check_among(np.stack([np.cos(angles), np.sin(angles)], axis=1), [0, 1, 2, 1, 0] * 8)
    assert max(sizes) == 3


@pytest.mark.parametrize("scale", [1e-30, 1e30])
def test_scale_does_not_matter(scale):
    rng = np.random.default_rng(2)
    rows, labels = rng.normal(size=(30, 3)), rng.integers(5, size=30).tolist()
    usual = retrieval_scores(Search.leave_one_out(rows.astype(np.float32), labels))
    scaled = retrieval_scores(Search.leave_one_out((rows * scale).astype(np.float32), labels))
    np.testing.assert_array_equal(scaled.first_rank, usual.first_rank)


def test_large_classes_go_through_in_parts(monkeypatch):
    monkeypatch.setattr(positives, "PRODUCTS_AT_A_TIME", 40)
    monkeypatch.setattr(all_pairs, "LEVELS_AT_A_TIME", 100)
    monkeypatch.setattr(all_pairs, "LEAST", 8)
    rng = np.random.default_rng(4)
    rows, labels = rng.integers(-2, 3, (60, 2)).astype(float), rng.integers(9, size=60).tolist()
    check_among(rows, labels)
    check_among(rows, labels, [3, 30, 50, 4, 20])  # few queries, whose classes are large
    for queries in (None, [3, 30, 50, 4, 20]):
        search = Search.leave_one_out(rows, labels, queries)
        blocks = list(positives._blocks(search, slice(0, len(search.queries))))
        sizes = [(block.stop - block.start, members.stop - members.start) for block, members in blocks]
        assert all(queries == 1 or queries * items <= 40 for queries, items in sizes)
        assert any(queries > 1 for queries, _ in sizes)


def test_of_equally_near_positives_the_lower_row_number_counts():
    """Rows 1 and 3 are the query's positives, as far as row 2 of the other class: 1 comes before it."""
    scores = retrieval_scores(Search.leave_one_out([[0.0], [1.0], [-1.0], [1.0]], [0, 0, 1, 0]), only_first=True)
    assert scores.first_rank.tolist() == [1, 1, NEVER, 1]
    scores = retrieval_scores(Search.leave_one_out([[0.0], [-1.0], [1.0], [1.0]], [0, 1, 0, 0]), only_first=True)
    assert scores.first_rank.tolist() == [2, NEVER, 1, 1]


def test_half_precision_and_text_labels():
    embedding = np.array([[0.0], [1.0], [5.0]], np.float16)
    assert retrieval_scores(Search.leave_one_out(embedding, ["car", "car", "tram"])).first_rank.tolist() == [
        1,
        1,
        NEVER,
    ]


def test_progress_grows_to_one(monkeypatch):
    for way in WAYS:
        choose(monkeypatch, way)
        shares = []
        rng = np.random.default_rng(0)
        retrieval_scores(Search.leave_one_out(rng.normal(size=(70, 2)), rng.integers(5, size=70)), report=shares.append)
        assert shares == sorted(shares)
        assert shares[-1] == pytest.approx(1)
        assert len(shares) > 10
        assert 0 < shares[0] < 0.2


def test_what_was_not_looked_for_is_not_made_up():
    with pytest.raises(ValueError, match="only first ranks"):
        retrieval_scores(Search.leave_one_out([[0.0], [1.0]], [0, 0]), only_first=True).map_at_r()


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: Search.leave_one_out([[0.0], [math.nan]], [0, 0]), DataError, "row 1 contains NaN"),
        (lambda: Search.leave_one_out([[0.0]], [0]), DataError, "at least 2 images, found 1"),
        (lambda: Search.leave_one_out([0.0, 1.0], [0, 0]), DataError, r"\(2,\) of dtype float64 is not a matrix"),
        (
            lambda: Search.leave_one_out(np.zeros((3, 0)), [0, 0, 1]),
            DataError,
            r"embedding \(3, 0\) of dtype float64 is not a matrix",
        ),
        (
            lambda: Search.leave_one_out([[1j], [2j]], [0, 0]),
            DataError,
            "of dtype complex128 is not a matrix of real numbers",
        ),
        (lambda: Search.leave_one_out([[0.0], [1.0]], [0, math.nan]), DataError, "labels have type float"),
        (lambda: Search.leave_one_out([[0.0], [1.0]], [None, "a"]), DataError, "labels have type NoneType, str"),
        (
            lambda: Search.query_gallery([[0.0]], [0], [[0.0]], ["0"]),
            DataError,
            "strings and numbers",
        ),
        (lambda: Search.leave_one_out([[0.0], [1.0]], [0]), DataError, "do not match"),
        (lambda: Search.query_gallery([[0.0]], [0], [[0.0, 1.0]], [0]), DataError, "different widths"),
        (lambda: Search.query_gallery(np.zeros((0, 1)), [], [[0.0]], [0]), DataError, "found 0 and 1 images"),
    ],
)
def test_bad_input(make, error, message):
    with pytest.raises(error, match=message):
        retrieval_scores(make())


def test_bad_distance():
    search = Search.leave_one_out([[0.0, 0.0], [1.0, 0.0]], [0, 0])
    with pytest.raises(ConfigError, match="distance is 'manhattan'; expected 'euclidean' or 'cosine'"):
        retrieval_scores(search, "manhattan")
    with pytest.raises(ConfigError, match="search is list; expected a Search"):
        retrieval_scores([[0.0], [1.0]])
    with pytest.raises(ConfigError, match="threads is 0"):
        retrieval_scores(search, threads=0)
    with pytest.raises(DataError, match="row 0 is all zeros"):
        retrieval_scores(search, "cosine")


def test_examples():
    assert doctest.testmod(retrieval).failed == 0
    assert doctest.testmod(retrieval).attempted > 10


def recall_by_loops(embedding, labels, k):
    hits = 0
    for query, row in enumerate(embedding):
        others = [i for i in range(len(embedding)) if i != query]
        others.sort(key=lambda i: (sum((row[d] - embedding[i][d]) ** 2 for d in range(len(row))), i))
        hits += any(labels[i] == labels[query] for i in others[:k])
    return hits / len(embedding)


@examples(60)
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
        ([[0.0], [float("nan")]], [0, 0], (1,), "row 1 contains NaN"),
        ([[0.0]], [0], (1,), "at least 2 images"),
        ([[0.0], [1.0]], [0, 0], (0,), "each at least 1"),
        ([[0.0], [1.0]], [0, 0], 1, "ks is 1; expected a sequence"),
        ([[0.0], [1.0]], [0], (1,), "do not match"),
    ],
)
def test_recall_of_bad_input(embedding, labels, ks, message):
    with pytest.raises(DataError, match=message):
        recall_at_k(embedding, labels, ks)
