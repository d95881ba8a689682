"""The positives of queries and their similarity, which all other items are compared with."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray

    from gluon_lifted.metrics.ranking.distance import DistanceMetric
    from gluon_lifted.metrics.ranking.search import Search

PRODUCTS_AT_A_TIME = 1 << 20  # 8 MB in float64, for each thread
ROWS_AT_A_TIME = 256
DENSE = 8  # where more than one item in so many is too close to call, all are computed exactly


@dataclass(frozen=True, eq=False)
class Positives:
    """Positives of consecutive queries in working order.

    Parameters
    ----------
    similarity : ndarray, float64, (n, J)
        Similarity of the nearest positive (J = 1) or of all; +inf, which nothing exceeds, where a query has no j-th.
    positions : ndarray, int64, (n, J)
        Their positions in the gallery.
    error : ndarray, float64, (n,)
        Bound of the error of each query's ``similarity``; 0 where that is exact.
    start : int
        Position of the first query.
    """

    similarity: NDArray[np.float64]
    positions: NDArray[np.int64]
    error: NDArray[np.float64]
    start: int

    def of(self, queries: slice) -> Positives:
        """Take the positives of a slice of the working order."""
        stop = None if queries.stop is None else queries.stop - self.start
        here = slice(queries.start - self.start, stop, queries.step)
        return Positives(self.similarity[here], self.positions[here], self.error[here], queries.start)


def find_positives(
    metric: DistanceMetric,
    search: Search,
    queries: slice,
    only_first: bool,
    exact: bool,
    each: Callable[..., Any] = map,
) -> Positives:
    """Find the positives of a slice of the working order. In a tie the lower row number comes first.

    With ``exact`` their distances are, which costs little where they are few. ``each`` calls a function for each block
    of queries, as ``map`` or a pool's ``map`` do.
    """
    counts = search.positives[queries]
    shape = (len(counts), 1 if only_first else max(1, int(counts.max(initial=0))))
    positives = Positives(np.full(shape, np.inf), np.zeros(shape, np.int64), np.zeros(len(counts)), queries.start)

    def find(block: slice, members: slice) -> None:
        similarity, bound = _similarity(metric, search, block, members, np.float32 if exact else np.float64)
        order = (
            _nearest(metric, search, similarity, block=block, members=members, bound=bound)
            if only_first
            else np.argsort(-similarity, axis=1)
        )
        order = order[:, : shape[1]]  # all others come after the positives
        missing = np.arange(order.shape[1]) >= search.positives[block, None]
        here, width = positives.of(block), order.shape[1]
        here.similarity[:, :width] = np.where(missing, np.inf, np.take_along_axis(similarity, order, axis=1))
        here.positions[:, :width] = order + members.start
        here.error[:] = bound
        if exact and bound:
            _make_exact(metric, search, here)

    list(each(find, *zip(*_blocks(search, queries), strict=True)) if counts.any() else ())
    return positives


def _similarity(
    metric: DistanceMetric, search: Search, block: slice, members: slice, dtype: type[np.floating[Any]]
) -> tuple[NDArray[np.floating[Any]], float]:
    """Similarity of queries and the items of their classes, and its error; -inf for all other items and the query."""
    items = metric.prepare(search.gallery.take(members), dtype)
    if search.symmetric:
        rows = items.part(slice(block.start - members.start, block.stop - members.start))
    else:
        rows = metric.prepare(search.queries.take(block), dtype)
    similarity, error = metric.similarity(rows, items), metric.error(rows, items)
    if error and items.has_outlier:
        similarity, error = metric.exact_tile(search.queries.take(block), search.gallery.take(members)) / -2, 0.0
    return _of_one_class(similarity, search, block, members), error


def _make_exact(metric: DistanceMetric, search: Search, positives: Positives) -> None:
    """Replace similarity by exact values, pair by pair."""
    query, number = np.nonzero(np.isfinite(positives.similarity))
    pairs = search.queries.take(positives.start + query), search.gallery.take(positives.positions[query, number])
    positives.similarity[query, number] = -metric.exact(*pairs) / 2
    positives.error[:] = 0


def with_exact_distances(metric: DistanceMetric, search: Search, positives: Positives) -> Positives:
    """The same positives with exact distances, by tiles: for many positives of each query."""
    similarity = positives.similarity.copy()
    for block, members in _blocks(search, slice(positives.start, positives.start + len(similarity))):
        square = metric.exact_tile(search.queries.take(block), search.gallery.take(members))
        here = slice(block.start - positives.start, block.stop - positives.start)
        columns = np.clip(positives.positions[here] - members.start, 0, square.shape[1] - 1)  # any where there is none
        exact = -np.take_along_axis(square, columns, axis=1) / 2
        similarity[here] = np.where(np.isfinite(similarity[here]), exact, np.inf)
    return Positives(similarity, positives.positions, np.zeros_like(positives.error), positives.start)


def _blocks(search: Search, queries: slice) -> Iterator[tuple[slice, slice]]:
    """Some queries, and the slice of the gallery that holds their classes: both are in one working order."""
    start = queries.start
    stop = queries.start + int(np.count_nonzero(search.positives[queries]))  # those without positives come last
    while start < stop:
        classes = search.queries.classes[start : min(start + ROWS_AT_A_TIME, stop)]
        first = int(np.searchsorted(search.gallery.classes, classes[0]))
        ends = np.searchsorted(search.gallery.classes, classes, side="right")
        fits = np.arange(1, len(classes) + 1) * (ends - first) <= PRODUCTS_AT_A_TIME
        rows = max(1, int(np.count_nonzero(fits)))
        yield slice(start, start + rows), slice(first, int(ends[rows - 1]))
        start += rows


def _of_one_class(
    similarity: NDArray[np.floating[Any]], search: Search, block: slice, members: slice
) -> NDArray[np.floating[Any]]:
    """-inf for items of another class, and for the query itself."""
    similarity[search.queries.classes[block, None] != search.gallery.classes[members]] = -np.inf
    if search.itself is not None:
        similarity[np.arange(len(similarity)), search.itself[block] - members.start] = -np.inf
    return similarity


def _nearest(
    metric: DistanceMetric,
    search: Search,
    similarity: NDArray[np.floating[Any]],
    *,
    block: slice,
    members: slice,
    bound: float,
) -> NDArray[np.int64]:
    """Column of the nearest item of each row, (n, 1); those too close to call are compared exactly."""
    best: NDArray[np.int64] = similarity.argmax(axis=1)  # of equal ones the first, which has the lowest row number
    top = similarity[np.arange(len(similarity)), best]
    rows, columns = np.nonzero(similarity >= (top - 2 * bound)[:, None])
    if bound and len(rows) > len(similarity):
        if len(rows) > similarity.size // DENSE:
            square = metric.exact_tile(search.queries.take(block), search.gallery.take(members))
            best = _of_one_class(-square, search, block, members).argmax(axis=1)
            return best[:, None]
        square = metric.exact(search.queries.take(block.start + rows), search.gallery.take(members.start + columns))
        order = np.lexsort((search.gallery.order[members.start + columns], square, rows))
        first = order[np.flatnonzero(np.diff(rows, prepend=-1))]  # rows ascend, so groups stay where they are
        best = columns[first]
    return best[:, None]
