"""The right answers of queries, and how near they are: what all other items are compared with."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from gluon_lifted.metrics.ranking.search import Search
    from gluon_lifted.metrics.ranking.space import Space

PRODUCTS_AT_A_TIME = 1 << 22
ROWS_AT_A_TIME = 256


@dataclass(frozen=True, eq=False)
class Positives:
    """Positives of some queries that stand one after the other in working order.

    Parameters
    ----------
    nearness : ndarray, float64, (n, J)
        Of the nearest positive (J = 1) or of all; +inf, which nothing is nearer than, where a query has no j-th.
    places : ndarray, int64, (n, J)
        Their places in the gallery.
    error : float
        Bound of the error of ``nearness``.
    start : int
        Place of the first query.
    """

    nearness: NDArray[np.float64]
    places: NDArray[np.int64]
    error: float
    start: int

    def of(self, queries: slice) -> Positives:
        """Those of a slice of the working order."""
        stop = None if queries.stop is None else queries.stop - self.start
        here = slice(queries.start - self.start, stop)
        return Positives(self.nearness[here], self.places[here], self.error, queries.start)


def find_positives(space: Space, search: Search, queries: slice, only_first: bool) -> Positives:
    """Positives of a slice of the working order. Of equally near ones the first is that with the lower row number."""
    counts = search.positives[queries]
    shape = (len(counts), 1 if only_first else max(1, int(counts.max(initial=0))))
    nearness, places = np.full(shape, np.inf), np.zeros(shape, np.int64)
    error = 0.0
    for block, members in _blocks(search, queries):
        rows = space.tile(search.queries.take(block), np.float64)
        items = space.tile(search.gallery.take(members), np.float64)
        near = _of_one_class(space.nearness(rows, items), search, block, members)
        bound = space.error(rows, items)
        error = max(error, bound)
        order = _nearest(space, search, near, block, members, bound) if only_first else np.argsort(-near, axis=1)
        order = order[:, : shape[1]]  # all others come after the positives
        missing = np.arange(order.shape[1]) >= search.positives[block, None]
        here = slice(block.start - queries.start, block.stop - queries.start)
        nearness[here, : order.shape[1]] = np.where(missing, np.inf, np.take_along_axis(near, order, axis=1))
        places[here, : order.shape[1]] = order + members.start
    return Positives(nearness, places, error, queries.start)


def _blocks(search: Search, queries: slice) -> Iterator[tuple[slice, slice]]:
    """Some queries, and the part of the gallery where their classes lie: one run, since both sides are in one order."""
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
    near: NDArray[np.floating[Any]], search: Search, block: slice, members: slice
) -> NDArray[np.floating[Any]]:
    """-inf for items of another class, and for the query itself."""
    near[search.queries.classes[block, None] != search.gallery.classes[members]] = -np.inf
    if search.itself is not None:
        near[np.arange(len(near)), search.itself[block] - members.start] = -np.inf
    return near


def _nearest(
    space: Space, search: Search, near: NDArray[np.floating[Any]], block: slice, members: slice, bound: float
) -> NDArray[np.int64]:
    """Column of the nearest item of each row, (n, 1); those too close to call are compared exactly."""
    best: NDArray[np.int64] = near.argmax(axis=1)
    top = near[np.arange(len(near)), best]
    rows, columns = np.nonzero(near >= (top - 2 * bound)[:, None])
    if len(rows) > len(near):
        square = space.exact(search.queries.take(block.start + rows), search.gallery.take(members.start + columns))
        order = np.lexsort((search.gallery.order[members.start + columns], square, rows))
        first = order[np.flatnonzero(np.diff(rows, prepend=-1))]  # rows ascend, so groups stay where they are
        best = columns[first]
    return best[:, None]
