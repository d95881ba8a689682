"""A tile of queries and a tile of items: which items come before the queries' positives."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from gluon_lifted.metrics.ranking.counting import LANES, Count, count_by_comparing, count_by_sorting

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from gluon_lifted.metrics.ranking.positives import Positives
    from gluon_lifted.metrics.ranking.search import Search, Side
    from gluon_lifted.metrics.ranking.space import Space, Tile

PAIRS_AT_A_TIME = 4096  # whose rows are gathered to be compared exactly
DOUBTS = 64  # a tile of float32 with more than one doubtful pair in so many is made again in float64


class Block(NamedTuple):
    """Rows of one side ready for products, padded to a multiple of 8 with rows that are infinitely far."""

    side: Side
    places: slice
    tile: Tile

    @property
    def classes(self) -> NDArray[np.int64]:
        """Class of each row, without the padding."""
        return self.side.classes[self.places]


@dataclass(frozen=True, eq=False)
class Meeting:
    """Queries of a search whose positives are known meet items of its gallery."""

    space: Space
    search: Search
    positives: Positives
    few: bool  # levels a query, so that comparing beats sorting and float32 beats float64

    def block(self, side: Side, places: slice, exactly: bool = False) -> Block:
        """Make rows ready, in float32 for few levels, unless ``exactly``."""
        tile = self.space.tile(side.take(places), np.float32 if self.few and not exactly else np.float64)
        missing = -len(tile.rows) % LANES
        if missing:
            rows = np.pad(tile.rows, ((0, missing), (0, 0)))
            tile = tile._replace(rows=rows, half_square=np.pad(tile.half_square, (0, missing), constant_values=np.inf))
        return Block(side, places, tile)

    def nearness(self, queries: Block, items: Block) -> NDArray[np.floating[Any]]:
        """(n, m), -inf for pairs of one class: positives, and a query with itself."""
        near = self.space.nearness(queries.tile, items.tile)
        ours, theirs = queries.classes, items.classes
        if ours[0] <= theirs[-1] and theirs[0] <= ours[-1]:
            near[: len(ours), : len(theirs)][ours[:, None] == theirs] = -np.inf
        return near

    def count(self, near: NDArray[Any], queries: Block, items: Block, by_row: bool = True) -> NDArray[np.int64]:
        """Negatives among the items before each positive, (n, J); queries are rows of ``near``, or columns."""
        levels = self.positives.of(queries.places).nearness
        levels = levels[:, : max(1, int(self.search.positives[queries.places.start]))]  # those after it have no more
        found = self._compare(near, levels, self.space.error(queries.tile, items.tile) + self.positives.error, by_row)
        if near.dtype == np.float32 and len(found.queries) > near.size // DOUBTS:
            queries, items = (self.block(one.side, one.places, exactly=True) for one in (queries, items))
            return self.count(self.nearness(queries, items), queries, items)
        before = np.zeros((len(queries.classes), self.positives.nearness.shape[1]), np.int64)
        before[:, : levels.shape[1]] = found.above[: len(before)]
        for start in range(0, len(found.queries), PAIRS_AT_A_TIME):
            some = slice(start, start + PAIRS_AT_A_TIME)
            doubts = Count(found.above, found.queries[some], found.items[some], found.levels[some])
            closer = self._closer(doubts, queries.places.start, items.places.start)
            np.add.at(before, (doubts.queries[closer], doubts.levels[closer]), 1)
        return before

    def _compare(self, near: NDArray[Any], levels: NDArray[np.float64], error: float, by_row: bool) -> Count:
        padding = near.shape[0 if by_row else 1] - len(levels)
        levels = np.pad(levels, ((0, padding), (0, 0)), constant_values=np.inf)
        low, high = (levels - error).astype(near.dtype), (levels + error).astype(near.dtype)
        if self.few:
            return count_by_comparing(near, low, high, by_row)
        return count_by_sorting(near, low, high)

    def _closer(self, doubts: Count, first_query: int, first_item: int) -> NDArray[np.bool_]:
        """Which of the pairs too close to call come before the positive, (m,), by exact distance, then row number."""
        positives = self.positives.of(slice(first_query, None))
        gallery = self.search.gallery
        places, items = first_query + doubts.queries, first_item + doubts.items
        square = self.space.exact(self.search.queries.take(places), gallery.take(items))
        lead = -square / 2 - positives.nearness[doubts.queries, doubts.levels]
        margin = self.positives.error + self.space.float64_error(2.0)
        closer = lead > margin
        close = np.flatnonzero(np.abs(lead) <= margin)
        right = positives.places[doubts.queries[close], doubts.levels[close]]
        right_square = self._exact_once(places[close], right)
        first = gallery.order[items[close]] < gallery.order[right]
        closer[close] = (square[close] < right_square) | ((square[close] == right_square) & first)
        return closer

    def _exact_once(self, queries: NDArray[np.int64], items: NDArray[np.int64]) -> NDArray[np.float64]:
        """Exact ``|x - y|^2`` of pairs that come again and again, (m,), computed once each."""
        pairs, again = np.unique(queries * len(self.search.gallery) + items, return_inverse=True)
        query, item = np.divmod(pairs, len(self.search.gallery))
        return self.space.exact(self.search.queries.take(query), self.search.gallery.take(item))[again]
