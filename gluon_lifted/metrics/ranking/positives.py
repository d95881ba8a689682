"""The right answers of queries, and how near they are: what all other items are compared with."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray

    from gluon_lifted.metrics.ranking.distance import Space
    from gluon_lifted.metrics.ranking.search import Search

PRODUCTS_AT_A_TIME = 1 << 20  # 8 MB in float64, for each thread
ROWS_AT_A_TIME = 256
DENSE = 8  # where more than one item in so many is too close to call, all are computed exactly


@dataclass(frozen=True, eq=False)
class Positives:
    """Positives of some queries that stand one after the other in working order.

    Parameters
    ----------
    nearness : ndarray, float64, (n, J)
        Of the nearest positive (J = 1) or of all; +inf, which nothing is nearer than, where a query has no j-th.
    places : ndarray, int64, (n, J)
        Their places in the gallery.
    error : ndarray, float64, (n,)
        Bound of the error of each query's ``nearness``; 0 where that is exact.
    start : int
        Place of the first query.
    """

    nearness: NDArray[np.float64]
    places: NDArray[np.int64]
    error: NDArray[np.float64]
    start: int

    def of(self, queries: slice) -> Positives:
        """Those of a slice of the working order."""
        stop = None if queries.stop is None else queries.stop - self.start
        here = slice(queries.start - self.start, stop, queries.step)
        return Positives(self.nearness[here], self.places[here], self.error[here], queries.start)


def find_positives(
    space: Space, search: Search, queries: slice, only_first: bool, exact: bool, each: Callable[..., Any] = map
) -> Positives:
    """Positives of a slice of the working order. Of equally near ones the first is that with the lower row number.

    With ``exact`` their distances are, which costs little where they are few. ``each`` calls a function for each block
    of queries, as ``map`` or a pool's ``map`` do.
    """
    counts = search.positives[queries]
    shape = (len(counts), 1 if only_first else max(1, int(counts.max(initial=0))))
    found = Positives(np.full(shape, np.inf), np.zeros(shape, np.int64), np.zeros(len(counts)), queries.start)

    def find(block: slice, members: slice) -> None:
        near, bound = _nearness(space, search, block, members, np.float32 if exact else np.float64)
        order = _nearest(space, search, near, block, members, bound) if only_first else np.argsort(-near, axis=1)
        order = order[:, : shape[1]]  # all others come after the positives
        missing = np.arange(order.shape[1]) >= search.positives[block, None]
        here, width = found.of(block), order.shape[1]
        here.nearness[:, :width] = np.where(missing, np.inf, np.take_along_axis(near, order, axis=1))
        here.places[:, :width] = order + members.start
        here.error[:] = bound
        if exact and bound:
            _make_exact(space, search, here)

    list(each(find, *zip(*_blocks(search, queries), strict=True)) if counts.any() else ())
    return found


def _nearness(
    space: Space, search: Search, block: slice, members: slice, dtype: type[np.floating[Any]]
) -> tuple[NDArray[np.floating[Any]], float]:
    """Of queries and the items of their classes, and its error; -inf for items of other classes and the query."""
    items = space.tile(search.gallery.take(members), dtype)
    if search.symmetric:
        rows = items.part(slice(block.start - members.start, block.stop - members.start))
    else:
        rows = space.tile(search.queries.take(block), dtype)
    near, error = space.nearness(rows, items), space.error(rows, items)
    if error and items.has_outlier:
        near, error = space.exact_tile(search.queries.take(block), search.gallery.take(members)) / -2, 0.0
    return _of_one_class(near, search, block, members), error


def _make_exact(space: Space, search: Search, found: Positives) -> None:
    """Replace nearness by exact values, pair by pair."""
    query, number = np.nonzero(np.isfinite(found.nearness))
    pairs = search.queries.take(found.start + query), search.gallery.take(found.places[query, number])
    found.nearness[query, number] = -space.exact(*pairs) / 2
    found.error[:] = 0


def with_exact_distances(space: Space, search: Search, found: Positives) -> Positives:
    """The same positives with exact distances, by tiles: for many positives of each query."""
    nearness = found.nearness.copy()
    for block, members in _blocks(search, slice(found.start, found.start + len(nearness))):
        square = space.exact_tile(search.queries.take(block), search.gallery.take(members))
        here = slice(block.start - found.start, block.stop - found.start)
        columns = np.clip(found.places[here] - members.start, 0, square.shape[1] - 1)  # any where there is none
        exact = -np.take_along_axis(square, columns, axis=1) / 2
        nearness[here] = np.where(np.isfinite(nearness[here]), exact, np.inf)
    return Positives(nearness, found.places, np.zeros_like(found.error), found.start)


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
    best: NDArray[np.int64] = near.argmax(axis=1)  # of equal ones the first, which has the lowest row number
    top = near[np.arange(len(near)), best]
    rows, columns = np.nonzero(near >= (top - 2 * bound)[:, None])
    if bound and len(rows) > len(near):
        if len(rows) > near.size // DENSE:
            square = space.exact_tile(search.queries.take(block), search.gallery.take(members))
            best = _of_one_class(-square, search, block, members).argmax(axis=1)
            return best[:, None]
        square = space.exact(search.queries.take(block.start + rows), search.gallery.take(members.start + columns))
        order = np.lexsort((search.gallery.order[members.start + columns], square, rows))
        first = order[np.flatnonzero(np.diff(rows, prepend=-1))]  # rows ascend, so groups stay where they are
        best = columns[first]
    return best[:, None]
