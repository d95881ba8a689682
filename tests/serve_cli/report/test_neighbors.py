import numpy as np

from gluon_lifted.metrics.ranking.search import Search
from gluon_lifted.metrics.retrieval import retrieval_scores
from serve_cli.report import neighbors
from serve_cli.report.neighbors import (
    NEIGHBORS,
    QUERIES,
    nearest_rows,
    neighbor_grids,
)
from tests.serve_cli.report.made import blobs, embeddings_of


def nearest_by_loops(embeddings, query, count):
    points = [[float(number) for number in point] for point in embeddings.embedding]
    away = [
        (sum((a - b) ** 2 for a, b in zip(point, points[query], strict=True)) ** 0.5, row)
        for row, point in enumerate(points)
        if row != query
    ]
    return sorted(away)[:count]


def test_nearest_against_loops(monkeypatch):
    monkeypatch.setattr(neighbors, "BLOCK", 7)
    embeddings = blobs([9, 11, 5])
    for query in range(len(embeddings)):
        nearest, distances = nearest_rows(embeddings.embedding, query, 6)
        expected = nearest_by_loops(embeddings, query, 6)
        assert nearest.tolist() == [row for _, row in expected]
        np.testing.assert_allclose(distances, [distance for distance, _ in expected])


def test_of_equally_near_rows_the_lower_comes_first_and_a_query_never_finds_itself():
    nearest, distances = nearest_rows(np.zeros((4, 2), np.float32), 1, 9)
    assert nearest.tolist() == [0, 2, 3]
    assert distances.tolist() == [0, 0, 0]


def test_grids_show_what_they_say():
    embeddings = blobs([7, 9, 1, 12, 30, 4, 5, 8, 2], spread=2.0)
    scores = retrieval_scores(Search.leave_one_out(embeddings.embedding, embeddings.labels))
    worst, best, random = neighbor_grids(embeddings, scores, seed=3)
    first = [line.first_rank for line in worst.lines]
    assert first == sorted(first, reverse=True)
    assert first[0] == max(scores.first_rank[scores.positives > 0])
    quality = [scores.map_at_r()[line.query] for line in best.lines]
    assert quality == sorted(quality, reverse=True)
    assert quality[0] == np.nanmax(scores.map_at_r())
    for grid in (worst, best):
        assert len({embeddings.labels[line.query] for line in grid.lines}) == len(grid.lines) == QUERIES
        assert 2 not in {embeddings.labels[line.query] for line in grid.lines}  # one image has nothing to find
    assert "seed 3" in random.chosen
    for line in (*worst.lines, *best.lines, *random.lines):
        expected = nearest_by_loops(embeddings, line.query, NEIGHBORS)
        assert [neighbor.row for neighbor in line.neighbors] == [row for _, row in expected]
        distances = [neighbor.distance for neighbor in line.neighbors]
        np.testing.assert_allclose(distances, [distance for distance, _ in expected])
        label = embeddings.labels[line.query]
        assert all(neighbor.right == (embeddings.labels[neighbor.row] == label) for neighbor in line.neighbors)


def test_random_queries_depend_on_the_seed_alone():
    embeddings = blobs([20, 20])
    scores = retrieval_scores(Search.leave_one_out(embeddings.embedding, embeddings.labels))
    chosen = [[line.query for line in neighbor_grids(embeddings, scores, seed)[-1].lines] for seed in (1, 1, 2)]
    assert chosen[0] == chosen[1] != chosen[2]


def test_without_anything_to_find_random_queries_remain():
    embeddings = embeddings_of([[0.0], [1.0], [3.0]], [0, 1, 2])
    (grid,) = neighbor_grids(
        embeddings, retrieval_scores(Search.leave_one_out(embeddings.embedding, embeddings.labels)), seed=0
    )
    assert grid.name == "Random queries"
    assert sorted(line.query for line in grid.lines) == [0, 1, 2]
    assert all(line.first_rank is None and len(line.neighbors) == 2 for line in grid.lines)
