"""Retrieval metrics, each defined once, from the ranks of a query's positives."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from gluon_lifted.errors import ConfigError, DataError
from gluon_lifted.metrics.ranking.all_pairs import AllPairsRanker
from gluon_lifted.metrics.ranking.distance import DistanceMetric
from gluon_lifted.metrics.ranking.search import Search

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import ArrayLike, NDArray

    from gluon_lifted.metrics.choices import Distance

NEVER = np.iinfo(np.int64).max  # rank of the first hit of a query without positives


@dataclass(frozen=True, eq=False)
class Scores:
    r"""Scores of each query. The mean over queries is the metric.

    The gallery is ranked by distance, the nearest item first (rank 1). In a tie the lower row number comes first.
    *Positives* are the items of the query's class. R is their number and :math:`r_1 < r_2 < \dots < r_R` are their
    ranks. For a query without positives recall, precision@1 and the reciprocal rank are 0. The metrics that divide by
    R are NaN for it, and excluded from means.

    Parameters
    ----------
    first_rank : ndarray, int64, (Q,)
        :math:`r_1`; `NEVER` for a query without positives.
    positives : ndarray, int64, (Q,)
        R of each query.
    of_all : ndarray, float64, (3, Q), optional
        R-precision, MAP@R and average precision. None if only first ranks were computed.

    Examples
    --------
    Five points on a line, two classes:

    >>> from gluon_lifted.metrics.ranking.search import Search
    >>> scores = retrieval_scores(Search.leave_one_out([[0.0], [1.0], [3.0], [3.6], [4.0]], [0, 0, 0, 1, 1]))
    >>> scores.first_rank
    array([1, 1, 3, 1, 1])
    >>> scores.positives
    array([2, 2, 2, 1, 1])
    """

    first_rank: NDArray[np.int64]
    positives: NDArray[np.int64]
    of_all: NDArray[np.float64] | None = None

    def recall_at_k(self, k: int) -> NDArray[np.float64]:
        r"""Return 1 for queries with a positive among the k nearest items: the paper's recall@K (`evaluate_recall.m`).

        .. math:: R@k = [\, r_1 \le k \,]

        Examples
        --------
        The two nearest neighbors of the third point are of the other class; its first positive has rank 3:

        >>> from gluon_lifted.metrics.ranking.search import Search
        >>> scores = retrieval_scores(Search.leave_one_out([[0.0], [1.0], [3.0], [3.6], [4.0]], [0, 0, 0, 1, 1]))
        >>> scores.recall_at_k(2)
        array([1., 1., 0., 1., 1.])
        """
        return np.asarray(self.first_rank <= k, np.float64)

    def precision_at_1(self) -> NDArray[np.float64]:
        r"""Return 1 for queries whose nearest item is a positive; the same as recall@1.

        .. math:: P@1 = [\, r_1 = 1 \,]

        Examples
        --------
        >>> from gluon_lifted.metrics.ranking.search import Search
        >>> retrieval_scores(Search.leave_one_out([[0.0], [1.0], [1.5]], ["a", "a", "b"])).precision_at_1()
        array([1., 0., 0.])
        """
        return np.asarray(self.first_rank == 1, np.float64)

    def reciprocal_rank(self) -> NDArray[np.float64]:
        r"""Return the reciprocal rank of the first positive. Its mean is MRR.

        .. math:: RR = 1 / r_1

        Examples
        --------
        >>> from gluon_lifted.metrics.ranking.search import Search
        >>> retrieval_scores(Search.leave_one_out([[0.0], [1.0], [1.5]], ["a", "a", "b"])).reciprocal_rank()
        array([1. , 0.5, 0. ])
        """
        has_positive = self.first_rank != NEVER
        reciprocal = np.zeros(len(has_positive))
        np.divide(1.0, self.first_rank, out=reciprocal, where=has_positive)
        return reciprocal

    def r_precision(self) -> NDArray[np.float64]:
        r"""Return the share of positives among the R nearest items.

        .. math:: RP = \tfrac1R \, \bigl|\{ j : r_j \le R \}\bigr|

        Examples
        --------
        >>> from gluon_lifted.metrics.ranking.search import Search
        >>> scores = retrieval_scores(Search.leave_one_out([[0.0], [1.0], [3.0], [3.6], [4.0]], [0, 0, 0, 1, 1]))
        >>> scores.r_precision()
        array([1., 1., 0., 1., 1.])
        """
        return self._all(0)

    def map_at_r(self) -> NDArray[np.float64]:
        r"""Return the average precision among the R nearest items.

        The precision at each positive's rank is summed over ranks up to R and divided by R (Musgrave et al., A Metric
        Learning Reality Check, ECCV 2020).

        .. math:: MAP@R = \tfrac1R \sum_{j : r_j \le R} \frac{j}{r_j}

        Examples
        --------
        The positives of the first point have ranks 2 and 3, of which only 2 is within R = 2: (1/2) / 2.

        >>> from gluon_lifted.metrics.ranking.search import Search
        >>> retrieval_scores(Search.leave_one_out([[0.0], [2.0], [3.0], [1.0]], [0, 0, 0, 1])).map_at_r()
        array([0.25, 0.5 , 0.5 ,  nan])
        """
        return self._all(1)

    def average_precision(self) -> NDArray[np.float64]:
        r"""Return the precision at each positive's rank, averaged over all positives. Its mean is mAP.

        .. math:: AP = \tfrac1R \sum_{j=1}^R \frac{j}{r_j}

        Examples
        --------
        The positives of the first point have ranks 2 and 3: (1/2 + 2/3) / 2.

        >>> from gluon_lifted.metrics.ranking.search import Search
        >>> scores = retrieval_scores(Search.leave_one_out([[0.0], [2.0], [3.0], [1.0]], [0, 0, 0, 1]))
        >>> scores.average_precision().round(4)
        array([0.5833, 0.8333, 0.8333,    nan])
        """
        return self._all(2)

    def _all(self, metric: int) -> NDArray[np.float64]:
        if self.of_all is None:
            raise ValueError("only first ranks were computed. Call retrieval_scores without only_first")
        values: NDArray[np.float64] = self.of_all[metric]
        return values


def retrieval_scores(
    search: Search,
    distance: Distance = "euclidean",
    *,
    only_first: bool = False,
    threads: int | None = None,
    report: Callable[[float], None] = lambda share: None,
) -> Scores:
    """Rank the positives of every query exactly, as differences in float64 would.

    If queries have few positives nothing is sorted: the rank of a positive is one more than the count of nearer items.

    Parameters
    ----------
    search : Search
        Queries and gallery.
    distance : {"euclidean", "cosine"}
        Distance between rows.
    only_first : bool
        Compute only first ranks, which is faster. R-precision, MAP@R and average precision need all positives.
    threads : int, optional
        By default one per usable core.
    report : callable, optional
        Called from time to time with the share of the work done, 0 to 1.

    Raises
    ------
    DataError
        If a value is not finite, or the distance is cosine and a row has norm 0.
    ConfigError
        If ``search`` is not a `Search`, the distance is unknown, or ``threads`` is below 1.
    """
    if not isinstance(search, Search):
        raise ConfigError(
            f"search is {type(search).__name__}; expected a Search, such as Search.leave_one_out(embedding, labels)."
        )
    if threads is not None and threads < 1:
        raise ConfigError(f"threads is {threads}; expected at least 1.")
    metric = DistanceMetric.fit(search.queries.rows, search.gallery.rows, distance=distance)
    num_queries = len(search.queries)
    first_rank, positives = np.empty(num_queries, np.int64), np.empty(num_queries, np.int64)
    positives[search.given] = search.positives
    of_all = None if only_first else np.empty((3, num_queries))
    ranker = AllPairsRanker(metric, search, only_first=only_first, threads=threads, report=report)
    for queries, before in ranker.run():
        ranks = _ranks(before, search.positives[queries])
        first_rank[search.given[queries]] = ranks[:, 0]
        if of_all is not None:
            of_all[:, search.given[queries]] = _of_all(ranks, search.positives[queries])
    return Scores(first_rank, positives, of_all)


def recall_at_k(
    embedding: ArrayLike, labels: ArrayLike, ks: Sequence[int], distance: Distance = "euclidean"
) -> dict[int, float]:
    r"""Compute the share of queries with at least one image of their class among the k nearest others.

    Every row is a query, and its gallery is all other rows (the authors' ``evaluate_recall.m``). The only row of a
    class counts as a miss. In a tie the lower row number comes first.

    Parameters
    ----------
    embedding : array_like, (N, D)
        Compared in float64.
    labels : array_like, (N,)
        Class of each row: integers or strings.
    ks : sequence of int
        Values of k, each at least 1.
    distance : {"euclidean", "cosine"}
        Distance that ranks the gallery.

    Returns
    -------
    dict
        k -> recall in [0, 1].

    Raises
    ------
    DataError
        If there are fewer than two rows, a value is not finite, a k is below 1, or the distance is cosine and a row is
        all zeros.

    Notes
    -----
    .. math:: R@k = \frac1N \sum_q \bigl[\, \min_{i \ne q,\, y_i = y_q} \mathrm{rank}_q(i) \le k \,\bigr]

    The rank of the nearest same-class item decides for every k. It is one more than the number of other-class items
    that come before it, so nothing is sorted.

    Examples
    --------
    Two classes on a line. The two nearest neighbors of the third point are of the other class:

    >>> recall_at_k([[0.0], [1.0], [3.0], [3.6], [4.0]], [0, 0, 0, 1, 1], ks=(1, 2, 4))
    {1: 0.8, 2: 0.8, 4: 1.0}
    """
    if isinstance(ks, int) or not ks or min(ks) < 1:
        raise DataError(f"ks is {ks}; expected a sequence of integers, each at least 1, such as (1, 2, 4, 8).")
    scores = retrieval_scores(Search.leave_one_out(embedding, labels), distance, only_first=True)
    return {k: float(scores.recall_at_k(k).mean()) for k in ks}


def can_rank(embedding: NDArray[np.floating[Any]], distance: Distance) -> bool:
    """Return whether all rows can be ranked: they are finite and, for cosine, not all zeros."""
    return bool(np.isfinite(embedding).all() and (distance == "euclidean" or embedding.any(axis=1).all()))


def _ranks(before: NDArray[np.int64], counts: NDArray[np.int64]) -> NDArray[np.int64]:
    """Compute ascending ranks of the positives, (n, J), from the negatives before each. `NEVER` after the last."""
    position = np.arange(before.shape[1])
    missing = position >= counts[:, None]
    ordered = np.sort(np.where(missing, NEVER, before), axis=1)
    return np.where(missing, NEVER, ordered + position + 1)


def _of_all(ranks: NDArray[np.int64], counts: NDArray[np.int64]) -> NDArray[np.float64]:
    """Compute R-precision, MAP@R and average precision, (3, n)."""
    precision = np.where(ranks == NEVER, 0, np.arange(1, ranks.shape[1] + 1) / ranks)
    within = ranks <= counts[:, None]
    sums = np.stack([within.sum(axis=1), (precision * within).sum(axis=1), precision.sum(axis=1)])
    return np.divide(sums, counts, out=np.full(sums.shape, np.nan), where=counts > 0)
