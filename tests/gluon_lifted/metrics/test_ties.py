"""Embeddings with many ties and near-ties against plain loops in float64, and the work that they take."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gluon_lifted.metrics.ranking import all_pairs, counting, exact, tile_ranking
from gluon_lifted.metrics.ranking.distance import DistanceMetric
from gluon_lifted.metrics.ranking.search import Search
from gluon_lifted.metrics.retrieval import NEVER, retrieval_scores
from tests.examples import examples
from tests.gluon_lifted.metrics.ranking_loops import ranked_hits, scores_of, squared_distance

pytestmark = pytest.mark.slow


def distinct(number):
    return lambda rng, shape: rng.normal(size=(number, shape[1]))[rng.integers(number, size=shape[0])]


def with_outlier(make, scale):
    def made(rng, shape):
        rows = np.array(make(rng, shape), np.float64)
        rows[rng.integers(len(rows))] *= scale
        return rows

    return made


def codes(low, high, scale=1.0):
    return lambda rng, shape: rng.integers(low, high + 1, shape) * scale


KINDS = {
    "equal": lambda rng, shape: np.repeat(rng.normal(size=(1, shape[1])), shape[0], axis=0),
    "3 distinct": distinct(3),
    "8 distinct": distinct(8),
    "binary": codes(0, 1),
    "signs": lambda rng, shape: rng.choice([-1.0, 1.0], shape),
    "signs of unit norm": lambda rng, shape: rng.choice([-1.0, 1.0], shape) / np.sqrt(shape[1]),
    "two values a column": lambda rng, shape: np.arange(shape[1]) + 0.7 * rng.integers(0, 2, shape),
    "ternary": codes(-1, 1, 0.123),
    "int8": codes(-127, 127),
    "int8 scaled": codes(-4, 4, 0.0123),
    "far from the origin": lambda rng, shape: 1000 + rng.integers(0, 3, shape) * 2.0**-20,
    "near float32's error": lambda rng, shape: distinct(3)(rng, shape) + 1e-8 * rng.normal(size=shape),
    "near float64's error": lambda rng, shape: distinct(3)(rng, shape) * (1 + 1e-16 * rng.integers(-3, 4, shape)),
    "outlier and codes": with_outlier(codes(0, 1), 1e10),
    "outlier and few": with_outlier(distinct(4), 1e9),
    "small outlier": with_outlier(codes(-2, 2, 0.1), 1e3),
}


def embedding_of(kind, dtype, rng, shape):
    rows = np.asarray(KINDS[kind](rng, shape)).astype(dtype)
    rows[~rows.any(axis=1), 0] = 1  # a row of zeros has no cosine
    return rows


def loops(queries, labels, gallery, names, itself, distance):
    """As `scores_of`, for each query; ``itself`` are rows of the gallery, or None."""
    rows, items = np.asarray(queries, np.float64).tolist(), np.asarray(gallery, np.float64).tolist()
    return [
        scores_of(ranked_hits(row, label, items, names, me, distance))
        for row, label, me in zip(rows, labels, itself, strict=True)
    ]


def check(search, distance, expected):
    first, counts, *of_all = zip(*expected, strict=True)
    first = [NEVER if rank is None else rank for rank in first]
    for only_first in (False, True):
        scores = retrieval_scores(search, distance, only_first=only_first, threads=2)
        np.testing.assert_array_equal(scores.first_rank, first)
        np.testing.assert_array_equal(scores.positives, counts)
        if not only_first:
            actual = [scores.r_precision(), scores.map_at_r(), scores.average_precision()]
            np.testing.assert_allclose(actual, of_all, rtol=1e-12)


@pytest.mark.parametrize("few", [0, 1000], ids=["sorting", "comparing"])
@pytest.mark.parametrize("kind", KINDS)
@examples(25)
@given(
    st.tuples(st.integers(2, 40), st.integers(1, 20)),
    st.integers(1, 9),
    st.sampled_from(["all", "some", "gallery"]),
    st.tuples(st.sampled_from(["euclidean", "cosine"]), st.sampled_from([np.float32, np.float64])),
    st.sampled_from([8, 1024]),
    st.integers(0, 2**32 - 1),
)
def test_equals_loops(few, kind, shape, num_classes, role, types, edge, seed):
    distance, dtype = types
    rng = np.random.default_rng(seed)
    rows = embedding_of(kind, dtype, rng, shape)
    labels = rng.integers(num_classes, size=len(rows)).tolist()
    queries = np.sort(rng.choice(len(rows), rng.integers(1, len(rows) + 1), replace=False))
    chosen = [labels[query] for query in queries]
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setattr(all_pairs, "FEW", few)
        monkeypatch.setattr(all_pairs, "EDGE", edge)
        monkeypatch.setattr(all_pairs, "PANEL", 2)
        if role == "all":
            check(
                Search.leave_one_out(rows, labels),
                distance,
                loops(rows, labels, rows, labels, range(len(rows)), distance),
            )
        elif role == "some":
            expected = loops(rows[queries], chosen, rows, labels, queries, distance)
            check(Search.leave_one_out(rows, labels, queries), distance, expected)
        else:
            expected = loops(rows[queries], chosen, rows, labels, [None] * len(queries), distance)
            check(Search.query_gallery(rows[queries], chosen, rows, labels), distance, expected)


@pytest.mark.parametrize("way", ["sorting", "comparing all", "comparing few"])
@examples(80)
@given(st.integers(1, 5), st.integers(1, 5), st.integers(1, 4), st.booleans(), st.integers(0, 2**32 - 1))
def test_ties_are_counted_by_row_number(way, n, m, levels, by_row, seed):
    """Against a loop over queries, levels and items; shapes are multiples of 8."""
    rng = np.random.default_rng(seed)
    by_row = by_row or way == "sorting"
    similarity = -rng.integers(0, 3, (8 * n, 8 * m)).astype(float)
    table = similarity if by_row else similarity.T  # queries are rows
    level = -rng.integers(0, 3, (len(table), levels)).astype(float)
    level[rng.random(level.shape) < 0.2] = np.inf
    order = counting.Order(
        rng.permutation(table.shape[1]).astype(np.int32), rng.integers(0, 40, level.shape).astype(np.int32)
    )
    expected = [
        [
            sum(
                (value, -row) > (level[q, j], -order.levels[q, j]) for value, row in zip(line, order.items, strict=True)
            )
            for j in range(levels)
        ]
        for q, line in enumerate(table)
    ]
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setattr(counting, "SPARSE", 0.1 if way == "comparing few" else 1 << 40)
        if way == "sorting":
            actual = counting.count_exactly_by_sorting(similarity, level, order)
        else:
            actual = counting.count_exactly_by_comparing(similarity, level, order, by_row=by_row)
    np.testing.assert_array_equal(actual, expected)


@pytest.mark.parametrize("shape", [(1, 1, 1), (1, 1, 300), (1, 7, 9), (30, 2, 129), (19, 35, 64), (3, 65, 2048)])
def test_exact_distances_are_added_in_order(shape):
    """Pairwise addition, as in NumPy's sum, gives other last bits."""
    n, m, dim = shape
    rng = np.random.default_rng(0)
    rows, others = rng.normal(size=(n, dim)), rng.normal(size=(m, dim))
    rows[-1] = others[-1]
    expected = [[squared_distance(row, other) for other in others.tolist()] for row in rows.tolist()]
    metric = DistanceMetric(np.zeros(dim), 1.0, cosine=False)
    np.testing.assert_array_equal(metric.exact_tile(rows, others), expected)
    pairs = np.repeat(rows, m, axis=0), np.tile(others, (n, 1))
    np.testing.assert_array_equal(metric.exact(*pairs).reshape(n, m), expected)
    assert metric.exact(rows[:1], others[:1])[0] == expected[0][0]
    first, second = np.divmod(np.arange(n * m), m)
    of_pairs = exact.squared_distances_of_pairs(metric.distinct(rows), metric.distinct(others), first, second)
    np.testing.assert_array_equal(of_pairs.reshape(n, m), expected)


def work_of(monkeypatch, rows, labels, distance="euclidean"):
    """Pairs compared exactly one by one, and pairs of distinct rows computed exactly by tiles."""
    work = {"pairs": 0, "tiles": 0}
    exact_pairs, tile = DistanceMetric.exact, exact.squared_distances

    def counted_pairs(self, queries, items):
        work["pairs"] += len(queries)
        return exact_pairs(self, queries, items)

    def counted_tile(queries, other):
        work["tiles"] += len(queries.rows) * len(other.rows)
        return tile(queries, other)

    monkeypatch.setattr(DistanceMetric, "exact", counted_pairs)
    monkeypatch.setattr(tile_ranking, "squared_distances", counted_tile)
    retrieval_scores(Search.leave_one_out(rows, labels), distance)
    return work


@pytest.mark.parametrize("num_classes", [10, 400], ids=["large classes", "small classes"])
@pytest.mark.parametrize(
    ("kind", "distance"),
    [
        ("equal", "euclidean"),
        ("equal", "cosine"),
        ("binary", "euclidean"),
        ("signs", "euclidean"),
        ("signs", "cosine"),
        ("signs of unit norm", "euclidean"),
        ("signs of unit norm", "cosine"),
        ("int8", "euclidean"),
        ("far from the origin", "euclidean"),
    ],
)
def test_products_on_a_grid_leave_no_pair_in_doubt(monkeypatch, kind, distance, num_classes):
    rng = np.random.default_rng(0)
    rows = embedding_of(kind, np.float64, rng, (1500, 60))
    work = work_of(monkeypatch, rows, rng.integers(num_classes, size=len(rows)), distance)
    assert work == {"pairs": 0, "tiles": 0}


@pytest.mark.parametrize("num_classes", [10, 400], ids=["large classes", "small classes"])
def test_equal_rows_are_compared_once(monkeypatch, num_classes):
    rng = np.random.default_rng(0)
    rows = embedding_of("8 distinct", np.float32, rng, (1500, 24))
    labels = rng.integers(num_classes, size=len(rows))
    work = work_of(monkeypatch, rows, labels)
    assert 0 < work["tiles"] <= 16 * 8 * 8  # a few tiles of 8 distinct rows
    assert work["pairs"] <= len(rows) * 16  # the few positives of each query


def test_an_outlier_does_not_blur_the_others(monkeypatch):
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(1500, 24)).astype(np.float32)
    rows[700] *= np.float32(1e9)
    labels = rng.integers(400, size=len(rows))
    work = work_of(monkeypatch, rows, labels)
    assert work["tiles"] <= 2 * len(rows)
    assert work["pairs"] <= 20 * len(rows)
