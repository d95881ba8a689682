"""Count, tile by tile, the items that come before the positives of queries."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from threading import Lock
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from gluon_lifted.metrics.ranking.counting import (
    Count,
    Order,
    count_by_comparing,
    count_by_sorting,
    count_exactly_by_comparing,
    count_exactly_by_sorting,
)
from gluon_lifted.metrics.ranking.exact import squared_distances, squared_distances_of_pairs
from gluon_lifted.metrics.ranking.positives import with_exact_distances

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from gluon_lifted.metrics.ranking.block import Block
    from gluon_lifted.metrics.ranking.distance import DistanceMetric
    from gluon_lifted.metrics.ranking.positives import Positives
    from gluon_lifted.metrics.ranking.search import Search

PAIRS_AT_A_TIME = 4096  # pairs whose rows are gathered for exact comparison
HEAVY = 256  # with more than one doubt in 256 decisions, exact distances of all positives are worth computing
PAIRS_OF_A_QUERY = 8  # pairs per query above which sharing distinct rows is faster
TRIED = 16  # queries of a tile that are tried to choose how to compute it
FLOAT32, FLOAT64, DIFFERENCES = range(3)  # ways to compute a tile
DOUBTS, SORTED_DOUBTS = {FLOAT32: 32, FLOAT64: 5}, 16  # at most one decision in so many may be too close to call


class Tile(NamedTuple):
    """Padded similarity of queries and items, one as rows and the other as columns, with its error bound."""

    similarity: NDArray[Any]
    error: float
    way: int


@dataclass(eq=False)
class TileRanker:
    """Counts, tile by tile, the negatives that come before the positives of queries.

    A tile is computed in float32 first, or in float64 if queries have many positives. If too many decisions are too
    close to call, the tile is recomputed: first in float64, then by exact differences.
    """

    metric: DistanceMetric
    search: Search
    positives: Positives
    few: bool  # queries have few positives: comparing beats sorting, float32 beats float64
    _calm: bool = False  # the first way decided the last tile
    _exact: list[Positives] = field(default_factory=list)
    _lock: Lock = field(default_factory=Lock)

    def negatives_before(
        self, queries: Block, items: Block, *, both: bool
    ) -> tuple[NDArray[np.int64], NDArray[np.int64] | None]:
        """Count the negatives in ``items`` before each positive of ``queries``, (n, J). If ``both``, also reversed."""
        ways = (FLOAT32, FLOAT64, DIFFERENCES) if self.few else (FLOAT64, DIFFERENCES)
        first = 0 if self._calm else next(index for index, way in enumerate(ways) if self._suits(way, queries, items))
        for way in ways[first:]:
            tile = self._tile(way, queries, items)
            ours = self._count(tile, queries, items, by_row=True)
            theirs = self._count(tile, items, queries, by_row=False) if both and ours is not None else None
            if ours is not None and (theirs is not None or not both):
                self._calm = way == ways[0]
                return ours, theirs
        raise AssertionError("exact differences leave no doubt")

    def _suits(self, way: int, queries: Block, items: Block) -> bool:
        """Try some queries of the tile and check whether this way decides enough of them."""
        if way == DIFFERENCES:
            return True
        step = max(1, len(queries) // TRIED)
        sample = replace(queries, positions=slice(queries.positions.start, queries.positions.stop, step))
        tile = self._tile(way, sample, items)
        return self._is_exact(tile, sample) or self._compare(tile, sample, by_row=True, share=0.75) is not None

    def _tile(self, way: int, queries: Block, items: Block) -> Tile:
        """Compute a tile, with -inf for pairs of the same class, including a query with itself."""
        if way == DIFFERENCES:
            square = squared_distances(queries.distinct, items.distinct)
            similarity = np.pad(square / -2, ((0, queries.padding), (0, items.padding)), constant_values=-np.inf)
            error = 0.0
        else:
            left, right = (block.float32 if way == FLOAT32 else block.float64 for block in (queries, items))
            similarity, error = np.matmul(left.rows, right.rows.T), self.metric.error(left, right)
        ours, theirs = queries.classes, items.classes
        if ours.min() <= theirs.max() and theirs.min() <= ours.max():
            similarity[: len(ours), : len(theirs)][ours[:, None] == theirs] = -np.inf
        return Tile(similarity, error, way)

    def _count(self, tile: Tile, queries: Block, items: Block, *, by_row: bool) -> NDArray[np.int64] | None:
        """Count negatives before positives. None if too many decisions are too close to call."""
        before = np.zeros((len(queries), self.positives.similarity.shape[1]), np.int64)
        width = self._width(queries)
        if self._is_exact(tile, queries):
            before[:, :width] = self._count_exactly(tile, queries, items, by_row=by_row)[: len(queries)]
            return before
        count = self._compare(tile, queries, by_row=by_row)
        if count is None:
            return None
        before[:, :width] = count.above[: len(queries)]
        heavy = len(count.queries) > tile.similarity.size // HEAVY
        positives = self._levels(DIFFERENCES if heavy else tile.way, queries)
        by_query = np.argsort(count.queries, kind="stable")
        for start in range(0, len(by_query), PAIRS_AT_A_TIME):
            pairs = by_query[start : start + PAIRS_AT_A_TIME]
            doubts = Count(count.above, count.queries[pairs], count.items[pairs], count.levels[pairs])
            closer = self._closer(doubts, queries, items, positives)
            np.add.at(before, (doubts.queries[closer], doubts.levels[closer]), 1)
        return before

    def _width(self, queries: Block) -> int:
        """Return the number of positives of the first query, which has the most."""
        return max(1, int(self.search.positives[queries.positions.start]))

    def _levels(self, way: int, queries: Block) -> Positives:
        if way == DIFFERENCES and self.positives.error.any():
            with self._lock:
                if not self._exact:
                    self._exact.append(with_exact_distances(self.metric, self.search, self.positives))
            return self._exact[0].of(queries.positions)
        return self.positives.of(queries.positions)

    def _is_exact(self, tile: Tile, queries: Block) -> bool:
        return not tile.error and not self._levels(tile.way, queries).error.any()

    def _compare(self, tile: Tile, queries: Block, *, by_row: bool, share: float = 1.0) -> Count | None:
        """Compare items with levels within the error bounds of both."""
        levels = self._levels(tile.way, queries)
        similarity = _pad(levels.similarity[:, : self._width(queries)], queries.padding, np.inf)
        error = tile.error + _pad(levels.error[:, None], queries.padding, 0)
        low, high = (
            (similarity - error).astype(tile.similarity.dtype),
            (similarity + error).astype(tile.similarity.dtype),
        )
        most = int(share * tile.similarity.size / (DOUBTS[tile.way] if self.few else SORTED_DOUBTS))
        if self.few:
            return count_by_comparing(tile.similarity, low, high, by_row=by_row, most=most)
        return count_by_sorting(tile.similarity, low, high, most)

    def _count_exactly(self, tile: Tile, queries: Block, items: Block, *, by_row: bool) -> NDArray[np.int64]:
        """Count in a tile without error. In a tie the lower row number comes first."""
        width, gallery = self._width(queries), self.search.gallery
        exact = self._levels(tile.way, queries)
        levels = _pad(exact.similarity[:, :width], queries.padding, np.inf).astype(tile.similarity.dtype)
        rows = _pad(gallery.order[exact.positions[:, :width]], queries.padding, 0)
        order = Order(
            np.pad(items.ordered.order[items.positions], (0, items.padding)).astype(np.int32), rows.astype(np.int32)
        )
        if self.few:
            return count_exactly_by_comparing(tile.similarity, levels, order, by_row=by_row)
        return count_exactly_by_sorting(tile.similarity, levels, order)

    def _closer(self, doubts: Count, queries: Block, items: Block, positives: Positives) -> NDArray[np.bool_]:
        """Decide which doubtful items come before the positive, (m,), by exact distance, then row number."""
        gallery = self.search.gallery
        lead = self._exact_similarity(doubts, queries, items)
        positions, item_positions = queries.positions.start + doubts.queries, items.positions.start + doubts.items
        right = positives.positions[doubts.queries, doubts.levels]
        level = positives.similarity[doubts.queries, doubts.levels]
        unsure = np.flatnonzero(positives.error[doubts.queries])
        level[unsure] = self._exact_once(positions[unsure], right[unsure])
        first = items.ordered.order[item_positions] < gallery.order[right]
        closer: NDArray[np.bool_] = (lead > level) | ((lead == level) & first)
        return closer

    def _exact_similarity(self, doubts: Count, queries: Block, items: Block) -> NDArray[np.float64]:
        """Compute each pair once: several levels of a query may be close to the same item. Queries ascend."""
        pairs, again = np.unique(doubts.queries * len(items) + doubts.items, return_inverse=True)
        query, item = np.divmod(pairs, len(items))
        if len(query) > PAIRS_OF_A_QUERY * np.count_nonzero(np.diff(query, prepend=-1)):
            square = squared_distances_of_pairs(queries.distinct, items.distinct, query, item)
        else:
            rows = queries.ordered.take(queries.positions.start + query)
            square = self.metric.exact(rows, items.ordered.take(items.positions.start + item))
        similarity: NDArray[np.float64] = square[again] / -2
        return similarity

    def _exact_once(self, queries: NDArray[np.int64], items: NDArray[np.int64]) -> NDArray[np.float64]:
        """Compute exact similarity of pairs, (m,), repeated pairs only once."""
        pairs, again = np.unique(queries * len(self.search.gallery) + items, return_inverse=True)
        query, item = np.divmod(pairs, len(self.search.gallery))
        return self.metric.exact(self.search.queries.take(query), self.search.gallery.take(item))[again] / -2


def _pad(values: NDArray[Any], rows: int, filling: float) -> NDArray[Any]:
    return np.pad(values, ((0, rows), (0, 0)), constant_values=filling) if rows else values
