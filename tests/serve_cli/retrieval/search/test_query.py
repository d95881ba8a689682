"""Several photographs as one query."""

import math

import numpy as np
import pytest

from gluon_lifted.errors import ConfigError, DataError
from serve_cli.retrieval.search.query import Query, combine_queries, combine_weighted


def queries(*vectors, first="p"):
    return [Query(f"{first}{number}", np.array(vector, np.float32)) for number, vector in enumerate(vectors)]


def plain_mean(vectors, distance):
    total = [0.0] * len(vectors[0])
    for vector in vectors:
        length = math.hypot(*vector) if distance == "cosine" else 1.0
        total = [sum_ + value / length for sum_, value in zip(total, vector, strict=True)]
    return [value / len(vectors) for value in total]


@pytest.mark.parametrize("distance", ["euclidean", "cosine"])
def test_a_combination_is_the_difference_of_two_means(distance):
    positives, negatives = [(3, 0, 4), (0, 0.1, 0), (1, 1, 1)], [(-2, 0, 0), (0, 5, 5)]
    combined = combine_queries(queries(*positives), queries(*negatives, first="n"), distance)
    means = zip(plain_mean(positives, distance), plain_mean(negatives, distance), strict=True)
    np.testing.assert_allclose(combined.embedding, [a - b for a, b in means], rtol=1e-6, atol=1e-7)
    assert combined.name == "p0 + p1 + p2 - n0 - n1"
    alone = combine_queries(queries(*positives), [], distance)
    np.testing.assert_allclose(alone.embedding, plain_mean(positives, distance), rtol=1e-6)


def test_one_photograph_that_cannot_be_read_fails_the_combination():
    bad = Query("bad.jpg", np.full(2, np.nan, np.float32), "not an image")
    for positives, negatives in [([*queries((1, 0)), bad], []), (queries((1, 0)), [bad])]:
        combined = combine_queries(positives, negatives, "euclidean")
        assert combined.error == "bad.jpg: not an image"


def test_what_is_refused():
    with pytest.raises(DataError, match="cancel out"):
        combine_queries(queries((1, 2)), queries((10, 20)), "cosine")
    with pytest.raises(ConfigError, match="at least one photograph"):
        combine_queries([], queries((1, 2)), "cosine")


def test_all_rows_of_the_positives_are_left_out():
    positives = [Query("a", np.ones(2, np.float32), own_rows=(4,)), Query("b", np.ones(2, np.float32), own_rows=(9,))]
    assert combine_queries(positives, [], "euclidean").own_rows == (4, 9)


@pytest.mark.parametrize("distance", ["euclidean", "cosine"])
@pytest.mark.parametrize("scale", [1, 1000])
def test_weights_by_plain_loops(distance, scale):
    """Weighted means of unit vectors or vectors; the negatives by the ratio of the mean weights."""
    vectors, weights = [(3.0, 4.0), (1.0, 0.0), (0.0, 2.0), (5.0, 12.0)], [3, 1, -0.5, -1.5]
    members = [(query, scale * weight) for query, weight in zip(queries(*vectors), weights, strict=True)]
    units = [tuple(x / sum(y * y for y in v) ** 0.5 for x in v) if distance == "cosine" else v for v in vectors]
    expected = [
        (3 * units[0][axis] + units[1][axis]) / 4 - (1 / 2) * (0.5 * units[2][axis] + 1.5 * units[3][axis]) / 2
        for axis in range(2)
    ]
    np.testing.assert_allclose(combine_weighted(members, distance).embedding, expected, rtol=1e-6)
