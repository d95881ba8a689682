"""Retrieval metrics: one definition each, all from the ranks of a query's positives."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

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
    r"""What each query scores; the mean over queries is the metric.

    A query's gallery is ranked by distance, rank 1 nearest; of items equally far the one with the lower row number
    comes first. *Positives* are the items of the query's class; R is their number and
    :math:`r_1 < r_2 < \dots < r_R` are their ranks. A query without positives never hits: recall, precision@1 and
    the reciprocal rank are 0. The metrics that divide by R are undefined for it: NaN, and left out of means.

    Parameters
    ----------
    first_rank : ndarray, int64, (Q,)
        :math:`r_1`; `NEVER` for a query without positives.
    positives : ndarray, int64, (Q,)
        R.
    of_all : ndarray, float64, (3, Q), optional
        R-precision, MAP@R and average precision, where they were asked for.

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
        r"""1 where at least one of the k nearest items is a positive: the paper's recall@K (`evaluate_recall.m`).

        .. math:: R@k = [\, r_1 \le k \,]

        Examples
        --------
        The third of five points has both of the other class nearest to it, and hits at rank 3:

        >>> from gluon_lifted.metrics.ranking.search import Search
        >>> scores = retrieval_scores(Search.leave_one_out([[0.0], [1.0], [3.0], [3.6], [4.0]], [0, 0, 0, 1, 1]))
        >>> scores.recall_at_k(2)
        array([1., 1., 0., 1., 1.])
        """
        return np.asarray(self.first_rank <= k, np.float64)

    def precision_at_1(self) -> NDArray[np.float64]:
        r"""1 where the nearest item is a positive; the same as recall@1.

        .. math:: P@1 = [\, r_1 = 1 \,]

        Examples
        --------
        >>> from gluon_lifted.metrics.ranking.search import Search
        >>> retrieval_scores(Search.leave_one_out([[0.0], [1.0], [1.5]], ["a", "a", "b"])).precision_at_1()
        array([1., 0., 0.])
        """
        return np.asarray(self.first_rank == 1, np.float64)

    def reciprocal_rank(self) -> NDArray[np.float64]:
        r"""One over the rank of the first positive; its mean is MRR.

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
        r"""Share of positives among the R nearest items.

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
        r"""Average precision among the R nearest items (Musgrave et al., A Metric Learning Reality Check, ECCV 2020).

        The precision at each positive's rank, summed over those of rank R at most, over R.

        .. math:: MAP@R = \tfrac1R \sum_{j : r_j \le R} \frac{j}{r_j}

        Examples
        --------
        The first point has its positives at ranks 2 and 3, of which 2 is within R = 2: (1/2) / 2.

        >>> from gluon_lifted.metrics.ranking.search import Search
        >>> retrieval_scores(Search.leave_one_out([[0.0], [2.0], [3.0], [1.0]], [0, 0, 0, 1])).map_at_r()
        array([0.25, 0.5 , 0.5 ,  nan])
        """
        return self._all(1)

    def average_precision(self) -> NDArray[np.float64]:
        r"""The precision at each positive's rank, averaged over all positives; its mean is mAP.

        .. math:: AP = \tfrac1R \sum_{j=1}^R \frac{j}{r_j}

        Examples
        --------
        The first point has its positives at ranks 2 and 3: (1/2 + 2/3) / 2.

        >>> from gluon_lifted.metrics.ranking.search import Search
        >>> scores = retrieval_scores(Search.leave_one_out([[0.0], [2.0], [3.0], [1.0]], [0, 0, 0, 1]))
        >>> scores.average_precision().round(4)
        array([0.5833, 0.8333, 0.8333,    nan])
        """
        return self._all(2)

    def _all(self, metric: int) -> NDArray[np.float64]:
        if self.of_all is None:
            raise ValueError("only the nearest positive of each query was looked for")
        values: NDArray[np.float64] = self.of_all[metric]
        return values


def retrieval_scores(
    search: Search,
    distance: Distance = "euclidean",
    only_first: bool = False,
    threads: int | None = None,
    report: Callable[[float], None] = lambda share: None,
) -> Scores:
    """Rank the positives of every query, exactly: decisions are those of float64 differences.

    Nothing is sorted where queries have few positives: the rank of a positive is one more than the number of items
    nearer than it, which are counted.

    Parameters
    ----------
    search : Search
        Queries and gallery.
    distance : {"euclidean", "cosine"}
        How rows are compared.
    only_first : bool
        Leave out what needs all positives: R-precision, MAP@R and average precision. Quicker.
    threads : int, optional
        By default one for each core that may be used.
    report : callable, optional
        Called now and then with the share of the work done.

    Raises
    ------
    DataError
        If a value is not finite, or a row has norm 0 and the distance is the cosine.
    ConfigError
        If ``search`` is none, there is no such distance, or fewer than one thread.
    """
    if not isinstance(search, Search):
        raise ConfigError(f"search is {type(search).__name__}; make one with Search.leave_one_out(embedding, labels).")
    if threads is not None and threads < 1:
        raise ConfigError(f"threads is {threads}; expected at least 1.")
    metric = DistanceMetric.fit(search.queries.rows, search.gallery.rows, distance=distance)
    num_queries = len(search.queries)
    first_rank, positives = np.empty(num_queries, np.int64), np.empty(num_queries, np.int64)
    positives[search.given] = search.positives
    of_all = None if only_first else np.empty((3, num_queries))
    for queries, before in AllPairsRanker(metric, search, only_first, threads, report).run():
        ranks = _ranks(before, search.positives[queries])
        first_rank[search.given[queries]] = ranks[:, 0]
        if of_all is not None:
            of_all[:, search.given[queries]] = _of_all(ranks, search.positives[queries])
    return Scores(first_rank, positives, of_all)


def recall_at_k(embedding: ArrayLike, labels: ArrayLike, ks: Sequence[int]) -> dict[int, float]:
    r"""Share of queries with at least one image of their class among the k nearest others.

    Every row is a query; its gallery is all other rows (the authors' ``evaluate_recall.m``). A query that is the
    only one of its class can never hit and counts as a miss. Among items at the same distance the one with the
    lower row number comes first.

    Parameters
    ----------
    embedding : array_like, (N, D)
        Compared by Euclidean distance in float64.
    labels : array_like, (N,)
        Class of each row: integers or strings.
    ks : sequence of int
        Ranks to report, each at least 1.

    Returns
    -------
    dict
        k -> recall in [0, 1].

    Raises
    ------
    DataError
        If there are fewer than two rows, a value is not finite, or a k is below 1.

    Notes
    -----
    .. math:: R@k = \frac1N \sum_q \bigl[\, \min_{i \ne q,\, y_i = y_q} \mathrm{rank}_q(i) \le k \,\bigr]

    The rank of the nearest same-class item decides for every k at once, so nothing is sorted: it is one more
    than the number of other-class items that come before it.

    Examples
    --------
    Two classes on a line; the third point has both of the other class nearest to it, and hits at rank 3:

    >>> recall_at_k([[0.0], [1.0], [3.0], [3.6], [4.0]], [0, 0, 0, 1, 1], ks=(1, 2, 4))
    {1: 0.8, 2: 0.8, 4: 1.0}
    """
    if isinstance(ks, int) or not ks or min(ks) < 1:
        raise DataError(f"ks is {ks}; expected ranks from 1 on, such as (1, 2, 4, 8).")
    scores = retrieval_scores(Search.leave_one_out(embedding, labels), only_first=True)
    return {k: float(scores.recall_at_k(k).mean()) for k in ks}


def _ranks(before: NDArray[np.int64], counts: NDArray[np.int64]) -> NDArray[np.int64]:
    """Ranks of the positives, ascending, (n, J), from the negatives before each; `NEVER` beyond the last positive."""
    position = np.arange(before.shape[1])
    missing = position >= counts[:, None]
    ordered = np.sort(np.where(missing, NEVER, before), axis=1)
    return np.where(missing, NEVER, ordered + position + 1)


def _of_all(ranks: NDArray[np.int64], counts: NDArray[np.int64]) -> NDArray[np.float64]:
    """R-precision, MAP@R and average precision, (3, n)."""
    precision = np.where(ranks == NEVER, 0, np.arange(1, ranks.shape[1] + 1) / ranks)
    within = ranks <= counts[:, None]
    sums = np.stack([within.sum(axis=1), (precision * within).sum(axis=1), precision.sum(axis=1)])
    return np.divide(sums, counts, out=np.full(sums.shape, np.nan), where=counts > 0)
