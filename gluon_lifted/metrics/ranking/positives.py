"""Find the positives of queries and their similarity, with which other items are compared."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray

    from gluon_lifted.metrics.ranking.distance import DistanceMetric
    from gluon_lifted.metrics.ranking.search import Search

PRODUCTS_AT_A_TIME = 1 << 20  # 8 MB in float64, per thread
ROWS_AT_A_TIME = 256
DENSE = 8  # if more than one item in 8 is too close to call, all are computed exactly


@dataclass(frozen=True, eq=False)
class Positives:
    """The positives of consecutive queries in working order.

    Parameters
    ----------
    similarity : ndarray, float64, (n, J)
        Similarity of the nearest positive (J = 1) or of all; +inf if a query has no j-th positive.
    positions : ndarray, int64, (n, J)
        Positions of the positives in the gallery.
    error : ndarray, float64, (n,)
        Error bound of each query's ``similarity``; 0 if that is exact.
    start : int
        Position of the first query.
    """

    similarity: NDArray[np.float64]
    positions: NDArray[np.int64]
    error: NDArray[np.float64]
    start: int

    def of(self, queries: slice) -> Positives:
        """Select the positives of a slice of the working order."""
        stop = None if queries.stop is None else queries.stop - self.start
        rows = slice(queries.start - self.start, stop, queries.step)
        return Positives(self.similarity[rows], self.positions[rows], self.error[rows], queries.start)


def find_positives(
    metric: DistanceMetric,
    search: Search,
    queries: slice,
    *,
    only_first: bool,
    exact: bool,
    each: Callable[..., Any] = map,
) -> Positives:
    """Find the positives of a slice of the working order. In a tie the lower row number comes first.

    ``exact`` asks for exact distances, which is cheap for few positives. ``each`` maps a function over blocks of
    queries, as ``map`` or the ``map`` of a pool does.
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
        order = order[:, : shape[1]]  # positives come first
        missing = np.arange(order.shape[1]) >= search.positives[block, None]
        part, width = positives.of(block), order.shape[1]
        part.similarity[:, :width] = np.where(missing, np.inf, np.take_along_axis(similarity, order, axis=1))
        part.positions[:, :width] = order + members.start
        part.error[:] = bound
        if exact and bound:
            _make_exact(metric, search, part)

    list(each(find, *zip(*_blocks(search, queries), strict=True)) if counts.any() else ())
    return positives


def _similarity(
    metric: DistanceMetric, search: Search, block: slice, members: slice, dtype: type[np.floating[Any]]
) -> tuple[NDArray[np.floating[Any]], float]:
    """Compute similarity of queries to items of their classes, -inf for other items and the query, and its error."""
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
    """Compute exact distances of the positives by tiles, which suits many positives per query."""
    similarity = positives.similarity.copy()
    for block, members in _blocks(search, slice(positives.start, positives.start + len(similarity))):
        square = metric.exact_tile(search.queries.take(block), search.gallery.take(members))
        rows = slice(block.start - positives.start, block.stop - positives.start)
        columns = np.clip(
            positives.positions[rows] - members.start, 0, square.shape[1] - 1
        )  # any column if there is no positive
        exact = -np.take_along_axis(square, columns, axis=1) / 2
        similarity[rows] = np.where(np.isfinite(similarity[rows]), exact, np.inf)
    return Positives(similarity, positives.positions, np.zeros_like(positives.error), positives.start)


def _blocks(search: Search, queries: slice) -> Iterator[tuple[slice, slice]]:
    """Yield slices of queries, and of the gallery items of their classes. Both are in the same working order."""
    start = queries.start
    stop = queries.start + int(np.count_nonzero(search.positives[queries]))  # queries without positives come last
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
    """Set items of other classes and the query itself to -inf, in place."""
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
    """Find the column of the nearest item of each row, (n, 1). Items too close to call are compared exactly."""
    best: NDArray[np.int64] = similarity.argmax(axis=1)  # the first of equal items has the lowest row number
    top = similarity[np.arange(len(similarity)), best]
    rows, columns = np.nonzero(similarity >= (top - 2 * bound)[:, None])
    if bound and len(rows) > len(similarity):
        if len(rows) > similarity.size // DENSE:
            square = metric.exact_tile(search.queries.take(block), search.gallery.take(members))
            best = _of_one_class(-square, search, block, members).argmax(axis=1)
            return best[:, None]
        square = metric.exact(search.queries.take(block.start + rows), search.gallery.take(members.start + columns))
        order = np.lexsort((search.gallery.order[members.start + columns], square, rows))
        first = order[np.flatnonzero(np.diff(rows, prepend=-1))]  # rows ascend, so groups keep their places
        best = columns[first]
    return best[:, None]
