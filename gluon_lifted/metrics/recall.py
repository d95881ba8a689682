"""Recall of one array of embeddings."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gluon_lifted.errors import DataError
from gluon_lifted.metrics.ranking.search import Search
from gluon_lifted.metrics.retrieval import retrieval_scores

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike


def recall_at_k(embedding: ArrayLike, labels: ArrayLike, ks: Sequence[int]) -> dict[int, float]:
    r"""Share of queries with at least one image of their class among the k nearest others.

    Every row is a query; its gallery is all other rows (the authors' ``evaluate_recall.m``). A query that is the
    only one of its class can never hit and counts as a miss. Of items at the same distance the one with the
    lower row number comes first.

    Parameters
    ----------
    embedding : array_like, (N, D)
        Compared by Euclidean distance, as float64 tells it.
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
