"""The right answers of queries, and how near they are: what all other items are compared with."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from gluon_lifted.metrics.search import Search
    from gluon_lifted.metrics.space import Space

PRODUCTS_AT_A_TIME = 1 << 22


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
    for part, members in _classes(search, queries):
        items = space.tile(search.gallery.take(members), np.float64)
        for block in _blocks(part, members):
            here = slice(block.start - queries.start, block.stop - queries.start)
            rows = space.tile(search.queries.take(block), np.float64)
            near = space.nearness(rows, items)
            if search.itself is not None:
                near[np.arange(len(near)), search.itself[block] - members.start] = -np.inf
            bound = space.error(rows, items)
            error = max(error, bound)
            order = _nearest(space, search, near, block, members, bound) if only_first else np.argsort(-near, axis=1)
            order = order[:, : search.positives[block.start]]  # the query itself comes last
            nearness[here, : order.shape[1]] = np.take_along_axis(near, order, axis=1)
            places[here, : order.shape[1]] = order + members.start
    return Positives(nearness, places, error, queries.start)


def _classes(search: Search, queries: slice) -> Iterator[tuple[slice, slice]]:
    """Queries of one class and the gallery's items of it, for each class that has positives."""
    classes = search.queries.classes[queries]
    starts = np.flatnonzero(np.diff(classes, prepend=-1))
    for start, stop in zip(starts, [*starts[1:], len(classes)], strict=True):
        if search.positives[queries.start + start]:
            first, last = search.gallery.span(int(classes[start]))
            yield slice(queries.start + int(start), queries.start + int(stop)), slice(first, last)


def _blocks(part: slice, members: slice) -> Iterator[slice]:
    """Parts of the queries whose products with all members of their class fit into memory."""
    step = max(1, PRODUCTS_AT_A_TIME // (members.stop - members.start))
    return (slice(start, min(start + step, part.stop)) for start in range(part.start, part.stop, step))


def _nearest(
    space: Space, search: Search, near: NDArray[np.float64], block: slice, members: slice, bound: float
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
