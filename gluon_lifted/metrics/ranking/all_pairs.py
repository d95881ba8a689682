"""Count the negatives before each positive in one pass over all pairs of query and item.

The pass computes tiles of a matrix product in several threads. If all rows are queries, each pair of rows is multiplied
only once. Decisions that rounding could change are made by exact differences in float64.
"""

from __future__ import annotations

from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property, partial
from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from threadpoolctl import threadpool_limits

from gluon_lifted.hardware.cpus import usable_cpus
from gluon_lifted.metrics.ranking.block import Block
from gluon_lifted.metrics.ranking.positives import find_positives
from gluon_lifted.metrics.ranking.tile_ranking import TileRanker

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from numpy.typing import NDArray

    from gluon_lifted.metrics.ranking.distance import DistanceMetric
    from gluon_lifted.metrics.ranking.search import OrderedRows, Search

FEW = 16  # levels per query up to which comparing beats sorting, and float32 with exact checks beats float64
EDGE = 1024  # rows of a tile
PANEL = 16  # tiles of queries that are prepared together for the whole gallery
LEAST, LEVELS_AT_A_TIME = 64, 1 << 21  # smaller panels if queries have many positives
OUTLIER, MOST_OUTLIERS = 256, 16  # times the median size of a row; up to so many outliers get separate tiles


class Counted(NamedTuple):
    """A slice of the queries in working order, and the negatives before each of their positives, (n, J)."""

    queries: slice
    before: NDArray[np.int64]


class _TileCounts(NamedTuple):
    """Counts of a panel of queries against a tile of the gallery, and of the tile if its rows are also queries."""

    queries: slice
    items: slice
    ours: NDArray[np.int64]
    theirs: NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class AllPairsRanker:
    """A pass over all pairs of query and gallery item.

    Parameters
    ----------
    metric : DistanceMetric
        Computes the distances.
    search : Search
        Queries and gallery.
    only_first : bool
        Whether only the nearest positive of each query is ranked.
    threads : int, optional
        By default one per usable core.
    report : callable, optional
        Called from time to time with the share of the work done, 0 to 1.
    """

    metric: DistanceMetric
    search: Search
    only_first: bool
    threads: int | None = None
    report: Callable[[float], None] = lambda share: None

    def run(self) -> Iterator[Counted]:
        """Rank all pairs. Memory holds the rows, a few numbers per row, and some tiles."""
        threads = self.threads or usable_cpus()
        with threadpool_limits(1, user_api="blas"), ThreadPoolExecutor(threads) as pool:
            if self._both:
                yield self._both_ways(pool, threads)
            else:
                yield from self._one_way(pool, threads)

    @cached_property
    def _levels(self) -> int:
        return 1 if self.only_first else max(1, int(self.search.positives.max(initial=0)))

    @property
    def _few(self) -> bool:
        return self._levels <= FEW

    @property
    def _both(self) -> bool:
        return self.search.symmetric and self._few

    def _ranker(self, pool: ThreadPoolExecutor, queries: slice) -> TileRanker:
        positives = find_positives(
            self.metric, self.search, queries, only_first=self.only_first, exact=self._few, each=pool.map
        )
        return TileRanker(self.metric, self.search, positives, few=self._few)

    def _both_ways(self, pool: ThreadPoolExecutor, threads: int) -> Counted:
        """Multiply each pair of tiles once, for the queries of both."""
        whole = slice(0, len(self.search.queries))
        ranker = self._ranker(pool, whole)
        before = np.zeros(ranker.positives.similarity.shape, np.int64)
        tiles = _tiles(self.search.gallery, EDGE)
        jobs = (
            partial(self._rank_tile, ranker, blocks, Block(self.metric, self.search.gallery, items, left=False))
            for blocks in self._panels(EDGE)
            for items in tiles
            if items.start >= blocks[0].positions.start
        )
        done, pairs = 0, whole.stop * (whole.stop + 1) // 2
        for counts in _in_order(pool, jobs, 2 * threads):
            before[counts.queries] += counts.ours
            before[counts.items] += counts.theirs
            size = counts.items.stop - counts.items.start
            rows_before = min(counts.queries.stop, counts.items.start) - counts.queries.start
            done += size * rows_before + (counts.items.start < counts.queries.stop) * size * (size + 1) // 2
            self.report(done / pairs)
        return Counted(whole, before)

    def _one_way(self, pool: ThreadPoolExecutor, threads: int) -> Iterator[Counted]:
        """Rank queries, panel by panel, against the whole gallery."""
        gallery = self.search.gallery
        tiles = _tiles(gallery, EDGE)

        def jobs() -> Iterator[Callable[[], _TileCounts]]:
            for blocks in self._panels(min(EDGE, max(LEAST, LEVELS_AT_A_TIME // (PANEL * self._levels)))):
                ranker = self._ranker(pool, slice(blocks[0].positions.start, blocks[-1].positions.stop))
                for items in tiles:
                    yield partial(self._rank_tile, ranker, blocks, Block(self.metric, gallery, items, left=False))

        before: NDArray[np.int64] = np.zeros((0, 0), np.int64)
        for counts in _in_order(pool, jobs(), 2 * threads):
            before = counts.ours if counts.items.start == 0 else before + counts.ours
            done = counts.queries.start + (counts.queries.stop - counts.queries.start) * counts.items.stop / len(
                gallery
            )
            self.report(done / len(self.search.queries))
            if counts.items.stop == len(gallery):
                yield Counted(counts.queries, before)

    def _panels(self, edge: int) -> Iterator[list[Block]]:
        tiles = _tiles(self.search.queries, edge)
        for start in range(0, len(tiles), PANEL):
            panel = tiles[start : start + PANEL]
            yield [Block(self.metric, self.search.queries, positions, left=True) for positions in panel]

    def _rank_tile(self, ranker: TileRanker, blocks: list[Block], items: Block) -> _TileCounts:
        levels = ranker.positives.similarity.shape[1]
        ours = [np.zeros((len(block), levels), np.int64) for block in blocks]
        theirs = np.zeros((len(items), levels), np.int64)
        for number, block in enumerate(blocks):
            if self._both and block.positions.start > items.positions.start:
                break  # these pairs are ranked with roles exchanged
            both = self._both and block.positions.start < items.positions.start
            ours[number], others = ranker.negatives_before(block, items, both=both)
            if others is not None:
                theirs += others
        return _TileCounts(
            slice(blocks[0].positions.start, blocks[-1].positions.stop), items.positions, np.concatenate(ours), theirs
        )


def _in_order(pool: ThreadPoolExecutor, jobs: Iterable[Callable[[], _TileCounts]], ahead: int) -> Iterator[_TileCounts]:
    """Yield results in the order of the jobs. A few jobs are submitted ahead."""
    running: deque[Future[_TileCounts]] = deque()
    for job in jobs:
        running.append(pool.submit(job))
        if len(running) > ahead:
            yield running.popleft().result()
    while running:
        yield running.popleft().result()


def _tiles(ordered: OrderedRows, edge: int) -> list[slice]:
    """Cut the working order into tiles of ``edge`` rows. Outliers, which make other products inexact, get own tiles."""
    peaks = np.concatenate([np.abs(ordered.take(part)).max(axis=1) for part in _slices(len(ordered), edge)])
    alone = np.flatnonzero(peaks > OUTLIER * np.median(peaks.astype(np.float64)))
    if len(alone) > MOST_OUTLIERS:
        alone = alone[:0]
    starts = np.unique(np.concatenate([np.arange(0, len(ordered), edge), alone, alone + 1]))
    return [slice(int(start), int(stop)) for start, stop in pairwise([*starts[starts < len(ordered)], len(ordered)])]


def _slices(count: int, size: int) -> list[slice]:
    return [slice(start, min(start + size, count)) for start in range(0, count, size)]
