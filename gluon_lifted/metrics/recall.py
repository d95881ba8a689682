"""Retrieval metrics of embeddings: one definition each."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from gluon_lifted.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike, NDArray

BLOCK_BYTES = 64 << 20  # of distances held at a time
NEVER = np.iinfo(np.int64).max


def recall_at_k(embedding: ArrayLike, labels: ArrayLike, ks: Sequence[int]) -> dict[int, float]:
    r"""Share of queries with at least one image of their class among the k nearest others.

    Every row is a query; its gallery is all other rows (the authors' ``evaluate_recall.m``). A query that is the
    only one of its class can never hit and counts as a miss. Of items at the same distance the one with the
    lower row number comes first.

    Parameters
    ----------
    embedding : array_like, (N, D)
        Compared by Euclidean distance, in float64.
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
    rows = np.asarray(embedding, np.float64)
    _, classes = np.unique(np.asarray(labels), return_inverse=True)
    _check(rows, classes, ks)
    ranks = first_hit_ranks(rows, classes)
    return {k: float(np.mean(ranks <= k)) for k in ks}


def _check(rows: NDArray[np.float64], classes: NDArray[np.intp], ks: Sequence[int]) -> None:
    if rows.ndim != 2 or len(rows) != len(classes):
        raise DataError(f"embedding {rows.shape} and labels {classes.shape} do not match; expected (N, D) and (N,).")
    if len(rows) < 2:
        raise DataError(f"recall needs at least 2 images, found {len(rows)}.")
    bad = np.flatnonzero(~np.isfinite(rows).all(axis=1))
    if len(bad):
        raise DataError(f"embedding row {bad[0]} is not finite ({len(bad)} such rows); embed the images again.")
    if not ks or min(ks) < 1:
        raise DataError(f"k must be at least 1, found {list(ks)}.")


def first_hit_ranks(rows: NDArray[np.float64], classes: NDArray[np.intp]) -> NDArray[np.int64]:
    """Rank (1 = nearest) of each row's nearest same-class other row; `NEVER` if its class has no other row.

    Distances come from the matrix product ``|y|^2 - 2 x.y``, whose rounding could swap items that are almost
    equally far; those closer to the decision than its error bound are compared again by differences.
    """
    num_rows, dim = rows.shape
    centred = rows - rows.mean(axis=0)  # leaves distances as they are, and the rounding error small
    squared_norm = np.einsum("nd,nd->n", centred, centred)
    # Two sums of dim + 2 rounded terms, and the rounding of the centring itself
    largest = float(np.sqrt(squared_norm.max()))
    error = 4 * (dim + 2) * np.finfo(np.float64).eps * largest * (largest + float(np.linalg.norm(rows.mean(axis=0))))
    ranks = np.full(num_rows, NEVER, np.int64)
    block = max(1, BLOCK_BYTES // (8 * num_rows))
    for start in range(0, num_rows, block):
        query = np.arange(start, min(start + block, num_rows))
        # |x|^2 is the same for a whole row and does not change its order
        distance = squared_norm - 2 * (centred[query] @ centred.T)  # (block, N)
        distance[np.arange(len(query)), query] = np.inf
        same = classes[query, None] == classes  # (block, N)
        nearest = np.where(same, distance, np.inf).min(axis=1)  # (block,)
        closer = np.count_nonzero(distance < (nearest - error)[:, None], axis=1)
        found = np.isfinite(nearest)
        undecided = np.abs(distance - np.where(found, nearest, 0)[:, None]) <= error  # the hit itself is one of them
        for position in np.flatnonzero(found):
            rivals = np.flatnonzero(undecided[position])
            rank = 1 if len(rivals) == 1 else _rank_among(rows[query[position]], rows[rivals], same[position, rivals])
            ranks[query[position]] = closer[position] + rank
    return ranks


def _rank_among(query: NDArray[np.float64], rivals: NDArray[np.float64], same: NDArray[np.bool_]) -> int:
    """Rank of the first same-class item among rivals in row order, by plain differences."""
    distance = np.square(rivals - query).sum(axis=1)
    order = np.argsort(distance, kind="stable")
    return 1 + int(np.argmax(same[order]))
