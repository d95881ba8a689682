"""Queries worth looking at, and what they find first."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from gluon_lifted.metrics.retrieval import Scores
    from serve_cli.report.rows import Rows

QUERIES, NEIGHBORS = 6, 8  # of a grid: lines, and images to the right of each query
BLOCK = 1 << 14  # rows whose differences are held at a time


class Neighbor(NamedTuple):
    """A row of the gallery, its Euclidean distance to the query, and whether it is of the query's class."""

    row: int
    distance: float
    right: bool


class Found(NamedTuple):
    """A query's row, its nearest others, nearest first, and the rank of the first right one; None without any."""

    query: int
    neighbors: tuple[Neighbor, ...]
    first_rank: int | None


class Grid(NamedTuple):
    """Queries of one kind, and how they were chosen."""

    name: str
    chosen: str
    lines: tuple[Found, ...]


def neighbor_grids(rows: Rows, scores: Scores, seed: int) -> tuple[Grid, ...]:
    """The best, the worst and some random queries; a kind without queries is left out."""
    kinds = (
        (
            "Worst queries",
            "Where the first right image comes last; at most one query of a class.",
            worst_queries(rows, scores),
        ),
        (
            "Best queries",
            "Highest MAP@R, of equals those with most images of their class; at most one query of a class.",
            best_queries(rows, scores),
        ),
        ("Random queries", f"Drawn from all images, seed {seed}.", random_queries(len(rows), seed)),
    )
    return tuple(
        Grid(name, chosen, tuple(_found(rows, scores, query) for query in queries))
        for name, chosen, queries in kinds
        if queries
    )


def worst_queries(rows: Rows, scores: Scores) -> list[int]:
    """Rows by the rank of their first right image, largest first, one of a class; those that have one at all."""
    return _one_of_a_class(rows, np.lexsort((-scores.first_rank,)), scores)


def best_queries(rows: Rows, scores: Scores) -> list[int]:
    """Rows by MAP@R, then by the size of their class, largest first, one of a class."""
    return _one_of_a_class(rows, np.lexsort((-scores.positives, -scores.map_at_r())), scores)


def random_queries(num_rows: int, seed: int) -> list[int]:
    """Different rows, each as likely as any."""
    rng = np.random.default_rng(seed)
    return [int(row) for row in rng.choice(num_rows, min(QUERIES, num_rows), replace=False)]


def _one_of_a_class(rows: Rows, order: NDArray[np.intp], scores: Scores) -> list[int]:
    chosen: dict[int, int] = {}
    for row in order:
        if scores.positives[row] > 0:
            chosen.setdefault(int(rows.classes[row]), int(row))
        if len(chosen) == QUERIES:
            break
    return list(chosen.values())


def _found(rows: Rows, scores: Scores, query: int) -> Found:
    """Exact: float64 differences, of equals the lower row first."""
    nearest, distances = nearest_rows(rows.embedding, query, NEIGHBORS)
    neighbors = tuple(
        Neighbor(int(row), float(distance), bool(rows.classes[row] == rows.classes[query]))
        for row, distance in zip(nearest, distances, strict=True)
    )
    return Found(query, neighbors, int(scores.first_rank[query]) if scores.positives[query] else None)


def nearest_rows(
    embedding: NDArray[np.float32], query: int, count: int
) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
    """The rows nearest to row ``query``, itself left out, and their Euclidean distances.

    Parameters
    ----------
    embedding : ndarray, float32, (N, D)
    query, count : int
        A row; how many to find, at most N - 1.

    Returns
    -------
    ndarray, intp, (count,)
        Nearest first; of equals the lower row.
    ndarray, float64, (count,)
    """
    squared = np.empty(len(embedding))
    for start in range(0, len(embedding), BLOCK):
        block = embedding[start : start + BLOCK].astype(np.float64) - embedding[query]
        squared[start : start + BLOCK] = np.einsum("nd,nd->n", block, block)
    squared[query] = np.inf
    nearest = np.argsort(squared, kind="stable")[: min(count, len(embedding) - 1)]
    return nearest, np.sqrt(squared[nearest])
