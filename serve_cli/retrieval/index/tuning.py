"""Tune the effort of a search to a target recall, measured against exact search."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from gluon_lifted.progress import open_progress
from serve_cli.retrieval.index.exact_search import checked_queries
from serve_cli.retrieval.index.graph import Graph
from serve_cli.retrieval.index.layout import SearchParameters

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from serve_cli.retrieval.index.catalog import CatalogIndex

K = 10
FEWEST, MOST = 200, 1_000  # queries
PRODUCTS = 2e11  # floating-point operations of exact search
FILTERED_SHARE, FILTERED_RECALL = 0.1, 0.998  # of rows that pass a filter, and what a search among them should reach
RERANKS = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32)
WIDEST = 4_096  # beam
NO_ROW = -2
DISPLACEMENT = 0.4  # with it, recall of such queries and of new photographs differs by about 0.5 points near 0.95
SEED = 99


class TunedSearch(NamedTuple):
    """Search parameters and the recall@10 that they reach."""

    search: SearchParameters
    recall: float


class Truth(NamedTuple):
    """Queries and their true neighbors."""

    own: NDArray[np.int64]  # (Q,) the queries' rows, which do not count; NO_ROW for queries that are not in the index
    queries: NDArray[np.float32]  # (Q, D)
    neighbors: NDArray[np.int64]  # (Q, K) without the row itself, -1 for none


def tune(index: CatalogIndex, target: float) -> TunedSearch:
    """Find the least work that reaches a recall@10.

    Queries are rows of the index, and a query's own row does not count.

    Parameters
    ----------
    index : CatalogIndex
        With inverted lists or graphs.
    target : float
        Recall, 0 to 1.
    """
    count = int(np.clip(PRODUCTS / (2 * index.total * index.dim), FEWEST, MOST))
    generator = np.random.default_rng(SEED)
    own = np.sort(generator.choice(index.total, min(count, index.total), replace=False))
    with open_progress("tune", None, unit="queries") as progress:
        truth = _truth(index, own, None)
        progress.update(len(own))
    if isinstance(index.approximation.proposals, Graph):
        return _tune_graph(index, between_neighbors(index, truth), target)
    ranks = _ranks(index, truth)
    tuned = _tune_both(index, truth, ranks, target)
    among = np.flatnonzero(generator.random(index.total) < FILTERED_SHARE)
    filtered = _ranks(index, _truth(index, own[: len(own) // 2], among))
    wide = max(tuned.search.effort, _lists_for(filtered, max(target, FILTERED_RECALL)))
    return TunedSearch(replace(tuned.search, filtered_effort=wide), tuned.recall)


def measure(index: CatalogIndex, truth: Truth, search: SearchParameters) -> float:
    """Return the share of the true neighbors that are among the same number of returned rows."""
    k = truth.neighbors.shape[1]
    rows = index.approximate(truth.queries, k + 1, search).rows
    others = rows != truth.own[:, None]
    returned = np.where(others & (others.cumsum(axis=1) <= k), rows, NO_ROW)  # the first k
    hits = (returned[:, :, None] == truth.neighbors[:, None]).any(axis=1) & (truth.neighbors >= 0)
    return float(hits.sum() / max(int((truth.neighbors >= 0).sum()), 1))


def between_neighbors(index: CatalogIndex, truth: Truth) -> Truth:
    """Make queries that are not in the index: rows displaced by the difference of two of their neighbors.

    A row of a graph is linked to its neighbors, so searching for it is easier than for a new photograph.
    """
    full = truth.neighbors.min(axis=1) >= 0
    neighbors = truth.neighbors[full]
    apart = index.vectors(neighbors[:, 0]) - index.vectors(neighbors[:, -1])
    queries = checked_queries(truth.queries[full] + DISPLACEMENT * apart, index.dim, index.distance)
    return Truth(np.full(len(queries), NO_ROW), queries, index.exhaustive(queries, K).rows)


def _tune_graph(index: CatalogIndex, truth: Truth, target: float) -> TunedSearch:
    """Choose the width of the beam, for searches of all rows and of some. All rows of the beam are candidates."""
    tuned = _narrowest_beam(index, truth, target)
    wide = max(target, FILTERED_RECALL)
    filtered = tuned if wide == target else _narrowest_beam(index, truth, wide)
    return TunedSearch(replace(tuned.search, filtered_effort=filtered.search.effort), tuned.recall)


def _narrowest_beam(index: CatalogIndex, truth: Truth, target: float) -> TunedSearch:
    width = 8
    while True:
        search = SearchParameters(width)
        tuned = TunedSearch(search, measure(index, truth, search))
        if tuned.recall >= target or width >= min(WIDEST, index.total):
            break
        width *= 2
    return _fewest(index, truth, tuned, target)


def _tune_both(index: CatalogIndex, truth: Truth, ranks: NDArray[np.int64], target: float) -> TunedSearch:
    """Choose the number of lists, then the candidates per neighbor. Use more lists if no number suffices."""
    best = TunedSearch(SearchParameters(), 0.0)
    for share in (0.15, 0.3, 0.6, 0.9, 1.0):  # of the allowed misses that the candidates may take
        effort = _lists_for(ranks, target + share * (1 - target))
        for rerank in RERANKS:
            search = SearchParameters(effort, rerank)
            recall = measure(index, truth, search)
            if recall >= target:
                return _fewest(index, truth, TunedSearch(search, recall), target)
            if recall > best.recall:
                best = TunedSearch(search, recall)
    return best


def _fewest(index: CatalogIndex, truth: Truth, tuned: TunedSearch, target: float) -> TunedSearch:
    """Bisect the number of lists, or the width of the beam."""
    few, enough = 0, tuned
    while enough.search.effort - few > 1:
        search = replace(enough.search, effort=(few + enough.search.effort) // 2)
        recall = measure(index, truth, search)
        if recall >= target:
            enough = TunedSearch(search, recall)
        else:
            few = search.effort
    return enough


def _truth(index: CatalogIndex, own: NDArray[np.int64], among: NDArray[np.int64] | None) -> Truth:
    queries = index.vectors(own)
    rows = index.exhaustive(queries, K + 1, among).rows
    neighbors = np.full((len(own), K), -1, np.int64)
    for number, row in enumerate(own):
        others = rows[number][rows[number] != row][:K]
        neighbors[number, : len(others)] = others
    return Truth(own, queries, neighbors)


def _ranks(index: CatalogIndex, truth: Truth) -> NDArray[np.int64]:
    """Return the rank of each true neighbor's list, sorted, (n,)."""
    lists = index.approximation.proposals
    if isinstance(lists, Graph):
        raise TypeError("a graph has no lists")
    ranks = lists.list_ranks(
        truth.queries, index.vectors(np.maximum(truth.neighbors, 0).ravel()).reshape(*truth.neighbors.shape, -1)
    )
    return np.sort(ranks[truth.neighbors >= 0])


def _lists_for(ranks: NDArray[np.int64], recall: float) -> int:
    """Return how many lists contain a share of the true neighbors."""
    if not len(ranks):
        return 1
    position = min(len(ranks) - 1, int(np.ceil(recall * len(ranks))) - 1)
    return int(ranks[max(position, 0)]) + 1
