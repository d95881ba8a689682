"""Two embeddings of the same images, side by side."""

from dataclasses import replace

import numpy as np
import pytest

from gluon_lifted.errors import DataError
from gluon_lifted.metrics.bootstrap import ClassBootstrap
from gluon_lifted.metrics.ranking.search import Search
from gluon_lifted.metrics.retrieval import retrieval_scores
from serve_cli.report.comparison import CLASSES, QUERIES, Ranked, compare, same_images
from tests.serve_cli.report.made import blobs


def ranked(embeddings):
    return Ranked(embeddings, retrieval_scores(Search.leave_one_out(embeddings.embedding, embeddings.labels)))


@pytest.fixture(scope="module")
def pair():
    sizes = [6, 9, 12, 5, 8, 7, 10]
    return ranked(blobs(sizes, spread=1.2)), ranked(blobs(sizes, spread=1.2, seed=1))


def test_differences_are_ours_minus_the_others_and_paired(pair):
    ours, other = pair
    comparison = compare(ours, other, (1, 4))
    bootstrap = ClassBootstrap(ours.embeddings.labels)
    for k in (1, 4):
        hits, other_hits = (each.scores.first_rank <= k for each in pair)
        assert comparison.differences[f"R@{k}"] == bootstrap.difference(hits, other_hits)
        assert comparison.differences[f"R@{k}"].value == pytest.approx(hits.mean() - other_hits.mean())
    expected = bootstrap.difference(ours.scores.map_at_r(), other.scores.map_at_r())
    assert comparison.differences["MAP@R"] == expected
    assert list(comparison.differences) == ["R@1", "R@4", "MAP@R", "R-precision", "MRR", "mAP"]
    swapped = compare(other, ours, (1, 4))
    assert swapped.differences["R@1"].value == -comparison.differences["R@1"].value


def test_classes_that_differ_most(pair):
    comparison = compare(*pair, (1,))
    labels = pair[0].embeddings.labels
    differences = []
    for class_id in range(7):
        first, second = ((each.scores.first_rank[labels == class_id] == 1).mean() for each in pair)
        differences.append(first - second)
    gains = sorted((value for value in differences if value > 0), reverse=True)[:CLASSES]
    losses = sorted(value for value in differences if value < 0)[:CLASSES]
    assert gains
    assert losses
    assert [line.difference for line in comparison.better] == pytest.approx(gains)
    assert [line.difference for line in comparison.worse] == pytest.approx(losses)
    for line in (*comparison.better, *comparison.worse):
        assert pair[0].embeddings.class_name(line.sample) == line.name


def test_queries_that_only_one_model_finds(pair):
    ours, other = pair
    comparison = compare(ours, other, (1,))
    hits, other_hits = (each.scores.first_rank == 1 for each in pair)
    assert (comparison.num_found, comparison.num_lost) == ((hits & ~other_hits).sum(), (other_hits & ~hits).sum())
    for pairs, finder, misser in ((comparison.found, ours, other), (comparison.lost, other, ours)):
        queries = [each.line.query for each in pairs]
        only = np.flatnonzero((finder.scores.first_rank == 1) & (misser.scores.first_rank != 1))
        assert set(queries) <= set(only)
        assert queries[0] == only[misser.scores.first_rank[only].argmax()]
        assert len({int(ours.embeddings.labels[query]) for query in queries}) == len(queries) <= QUERIES
    line, other_line = comparison.found[0]
    assert line.query == other_line.query
    assert line.neighbors[0].right
    assert not other_line.neighbors[0].right
    assert {line.query, line.neighbors[0].row, other_line.neighbors[-1].row} <= comparison.rows()


def test_the_same_embeddings_differ_nowhere(pair):
    comparison = compare(pair[0], pair[0], (1,))
    assert (comparison.better, comparison.worse, comparison.found, comparison.lost) == ((), (), (), ())
    assert comparison.differences["R@1"].value == comparison.differences["R@1"].high == 0


def test_rows_are_put_in_the_order_of_the_first():
    first = blobs([4, 5])
    order = np.random.default_rng(0).permutation(9)
    second = replace(
        first,
        ids=tuple(first.ids[row] for row in order),
        paths=("elsewhere",) * 9,
        labels=first.labels[order],
        embedding=first.embedding[order],
    )
    ours, other = same_images(first, second)
    assert ours is first
    assert (other.ids, other.paths) == (first.ids, first.paths)
    np.testing.assert_array_equal(other.embedding, first.embedding)
    np.testing.assert_array_equal(other.labels, first.labels)


def test_images_that_one_model_failed_on_are_left_out_of_both():
    first = replace(blobs([4, 5]), errors=("broken", *[None] * 8))
    second = replace(blobs([4, 5], seed=1), errors=(*[None] * 8, "broken"))
    ours, other = same_images(first, second)
    assert ours.ids == other.ids == first.ids[1:-1]
    np.testing.assert_array_equal(other.embedding, second.embedding[1:-1])


def test_other_images_or_labels_are_refused():
    first = blobs([4, 5])
    with pytest.raises(DataError, match=r"has 8 images, expected the 9 of made; '8\.jpg' is missing"):
        same_images(first, first.only(np.arange(9) < 8))
    with pytest.raises(DataError, match=r"has 9 images, expected the 8 of made; embed the same images"):
        same_images(first.only(np.arange(9) < 8), first)
    with pytest.raises(DataError, match=r"'3\.jpg' has label 'class 1', expected 'class 0' as in made"):
        same_images(first, blobs([3, 6]))
