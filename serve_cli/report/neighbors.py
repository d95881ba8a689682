"""Select the best, worst and random queries, with their nearest neighbors."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from gluon_lifted.metrics.retrieval import Scores
    from serve_cli.embeddings.reader import Embeddings

QUERIES, NEIGHBORS = 6, 8  # lines of a grid, and neighbors per line
BLOCK = 1 << 14  # rows whose differences are in memory at a time


class Neighbor(NamedTuple):
    """A row of the gallery, its Euclidean distance to the query, and whether their classes are the same."""

    row: int
    distance: float
    right: bool


class QueryLine(NamedTuple):
    """A query's row, its neighbors, nearest first, and the rank of its first positive; None without positives."""

    query: int
    neighbors: tuple[Neighbor, ...]
    first_rank: int | None


class Grid(NamedTuple):
    """Queries of one kind, and how they were selected."""

    name: str
    chosen: str
    lines: tuple[QueryLine, ...]


def neighbor_grids(embeddings: Embeddings, scores: Scores, seed: int) -> tuple[Grid, ...]:
    """Select the worst, the best and some random queries. A kind without queries is left out."""
    kinds = (
        (
            "Worst queries",
            "Queries whose first image of the same class is ranked lowest; at most one per class.",
            worst_queries(embeddings, scores),
        ),
        (
            "Best queries",
            "Highest MAP@R; ties go to the larger class. At most one per class.",
            best_queries(embeddings, scores),
        ),
        ("Random queries", f"Drawn from all images, seed {seed}.", random_queries(len(embeddings), seed)),
    )
    return tuple(
        Grid(name, chosen, tuple(query_line(embeddings, scores, query) for query in queries))
        for name, chosen, queries in kinds
        if queries
    )


def worst_queries(embeddings: Embeddings, scores: Scores) -> list[int]:
    """Select rows whose first positive has the largest rank, one per class. Rows without positives are left out."""
    return one_per_class(embeddings, np.lexsort((-scores.first_rank,)), scores)


def best_queries(embeddings: Embeddings, scores: Scores) -> list[int]:
    """Select rows with the highest MAP@R, one per class. Ties go to the larger class."""
    return one_per_class(embeddings, np.lexsort((-scores.positives, -scores.map_at_r())), scores)


def random_queries(num_rows: int, seed: int) -> list[int]:
    """Draw different rows uniformly."""
    rng = np.random.default_rng(seed)
    return [int(row) for row in rng.choice(num_rows, min(QUERIES, num_rows), replace=False)]


def one_per_class(embeddings: Embeddings, order: NDArray[np.intp], scores: Scores, most: int = QUERIES) -> list[int]:
    """Select the first row of each class in an order, at most ``most``. Rows without positives are left out."""
    chosen: dict[int, int] = {}
    for row in order:
        if scores.positives[row] > 0:
            chosen.setdefault(int(embeddings.labels[row]), int(row))
        if len(chosen) == most:
            break
    return list(chosen.values())


def query_line(embeddings: Embeddings, scores: Scores, query: int) -> QueryLine:
    """Return a query with its nearest neighbors."""
    nearest, distances = nearest_rows(embeddings.embedding, query, NEIGHBORS)
    neighbors = tuple(
        Neighbor(int(row), float(distance), bool(embeddings.labels[row] == embeddings.labels[query]))
        for row, distance in zip(nearest, distances, strict=True)
    )
    return QueryLine(query, neighbors, int(scores.first_rank[query]) if scores.positives[query] else None)


def nearest_rows(
    embedding: NDArray[np.float32], query: int, count: int
) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
    """Return the rows nearest to the row ``query``, without itself, and their Euclidean distances.

    Parameters
    ----------
    embedding : ndarray, float32, (N, D)
        All rows.
    query : int
        A row.
    count : int
        Number of neighbors, at most N - 1.

    Returns
    -------
    ndarray, intp, (count,)
        Rows, nearest first. At equal distances, the lower row is first.
    ndarray, float64, (count,)
        Distances, from float64 differences.
    """
    squared = np.empty(len(embedding))
    for start in range(0, len(embedding), BLOCK):
        block = embedding[start : start + BLOCK].astype(np.float64) - embedding[query]
        squared[start : start + BLOCK] = np.einsum("nd,nd->n", block, block)
    squared[query] = np.inf
    nearest = np.argsort(squared, kind="stable")[: min(count, len(embedding) - 1)]
    return nearest, np.sqrt(squared[nearest])
