"""Tune how much a search does to a target recall, measured against exact search."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from serve_cli.progress import open_progress
from serve_cli.retrieval.index.layout import SearchParameters

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from serve_cli.retrieval.index.catalog import CatalogIndex

K = 10
FEWEST, MOST = 200, 1_000  # queries
PRODUCTS = 2e11  # floating-point operations of exact search
FILTERED_SHARE, FILTERED_RECALL = 0.1, 0.995  # of rows that pass a filter, and what a search among them should reach
RERANKS = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32)
SEED = 99


class TunedSearch(NamedTuple):
    """Search parameters and the recall@10 that they reach."""

    search: SearchParameters
    recall: float


class _Truth(NamedTuple):
    own: NDArray[np.int64]  # (Q,) the queries' rows
    queries: NDArray[np.float32]  # (Q, D)
    neighbors: NDArray[np.int64]  # (Q, K) without the row itself, -1 for none


def tune(index: CatalogIndex, target: float) -> TunedSearch:
    """Find the least work that reaches a recall@10.

    Queries are rows of the index, and a query's own row does not count.

    Parameters
    ----------
    index : CatalogIndex
        With inverted lists.
    target : float
        Recall, 0 to 1.
    """
    count = int(np.clip(PRODUCTS / (2 * index.total * index.dim), FEWEST, MOST))
    generator = np.random.default_rng(SEED)
    own = np.sort(generator.choice(index.total, min(count, index.total), replace=False))
    with open_progress("tune", None, unit="queries") as progress:
        truth = _truth(index, own, None)
        progress.update(len(own))
    ranks = _ranks(index, truth)
    tuned = _tune_both(index, truth, ranks, target)
    among = np.flatnonzero(generator.random(index.total) < FILTERED_SHARE)
    filtered = _ranks(index, _truth(index, own[: len(own) // 2], among))
    wide = max(tuned.search.nprobe, _nprobe(filtered, max(target, FILTERED_RECALL)))
    return TunedSearch(replace(tuned.search, filtered_nprobe=wide), tuned.recall)


def measure(index: CatalogIndex, own: NDArray[np.int64], truth: NDArray[np.int64], search: SearchParameters) -> float:
    """Return the share of the true neighbors, (Q, k), that are in the k rows returned for rows ``own``."""
    k = truth.shape[1]
    rows = index.approximate(index.vectors(own), k + 1, search).rows
    others = rows != own[:, None]
    returned = np.where(others & (others.cumsum(axis=1) <= k), rows, -2)  # the first k
    hits = (returned[:, :, None] == truth[:, None]).any(axis=1) & (truth >= 0)
    return float(hits.sum() / max(int((truth >= 0).sum()), 1))


def _tune_both(index: CatalogIndex, truth: _Truth, ranks: NDArray[np.int64], target: float) -> TunedSearch:
    """Choose the number of lists, then the candidates per neighbor; more lists where no number of candidates does."""
    best = TunedSearch(SearchParameters(), 0.0)
    for share in (0.15, 0.3, 0.6, 0.9, 1.0):  # of the allowed misses that the candidates may take
        nprobe = _nprobe(ranks, target + share * (1 - target))
        for rerank in RERANKS:
            search = SearchParameters(nprobe, rerank)
            recall = measure(index, truth.own, truth.neighbors, search)
            if recall >= target:
                return _fewest_lists(index, truth, TunedSearch(search, recall), target)
            if recall > best.recall:
                best = TunedSearch(search, recall)
    return best


def _fewest_lists(index: CatalogIndex, truth: _Truth, tuned: TunedSearch, target: float) -> TunedSearch:
    """Bisect the number of lists with a fixed number of candidates."""
    few, enough = 0, tuned
    while enough.search.nprobe - few > 1:
        search = replace(enough.search, nprobe=(few + enough.search.nprobe) // 2)
        recall = measure(index, truth.own, truth.neighbors, search)
        if recall >= target:
            enough = TunedSearch(search, recall)
        else:
            few = search.nprobe
    return enough


def _truth(index: CatalogIndex, own: NDArray[np.int64], among: NDArray[np.int64] | None) -> _Truth:
    queries = index.vectors(own)
    rows = index.exhaustive(queries, K + 1, among).rows
    neighbors = np.full((len(own), K), -1, np.int64)
    for number, row in enumerate(own):
        others = rows[number][rows[number] != row][:K]
        neighbors[number, : len(others)] = others
    return _Truth(own, queries, neighbors)


def _ranks(index: CatalogIndex, truth: _Truth) -> NDArray[np.int64]:
    """Return the rank of each true neighbor's list, sorted, (n,)."""
    ranks = index.approximation.lists.list_ranks(
        truth.queries, index.vectors(np.maximum(truth.neighbors, 0).ravel()).reshape(*truth.neighbors.shape, -1)
    )
    return np.sort(ranks[truth.neighbors >= 0])


def _nprobe(ranks: NDArray[np.int64], recall: float) -> int:
    """Return how many lists contain a share of the true neighbors."""
    if not len(ranks):
        return 1
    position = min(len(ranks) - 1, int(np.ceil(recall * len(ranks))) - 1)
    return int(ranks[max(position, 0)]) + 1
