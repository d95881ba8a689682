"""The pass over all pairs of query and item: how many negatives come before each positive.

Tiles of a matrix product, several threads. Where all rows are queries, each pair of rows is multiplied once and
counts for both. Decisions that rounding could turn are made again by plain differences in float64.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from threadpoolctl import threadpool_limits

from gluon_lifted.machine.cpus import usable_cpus
from gluon_lifted.metrics.ranking.meeting import Meeting
from gluon_lifted.metrics.ranking.positives import find_positives

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray

    from gluon_lifted.metrics.ranking.meeting import Block
    from gluon_lifted.metrics.ranking.search import Search
    from gluon_lifted.metrics.ranking.space import Space

FEW = 16  # levels a query for which comparing beats sorting, and float32 with exact checks beats float64
EDGE = 1024  # rows of a tile
PANEL = 8 * EDGE  # queries that are made ready once for all of the gallery
LEAST, LEVELS_AT_A_TIME = 64, 1 << 22  # smaller panels where queries have many positives


class Counted(NamedTuple):
    """Queries, as a slice of the working order, and the negatives before each of their positives, (n, J)."""

    queries: slice
    before: NDArray[np.int64]


class _Met(NamedTuple):
    """A tile of the gallery has met a panel: counts of the panel's queries; of the tile's, if those are queries too."""

    items: slice
    ours: NDArray[np.int64]
    theirs: NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Sweep:
    """One pass.

    Parameters
    ----------
    space : Space
    search : Search
    only_first : bool
        Whether the nearest positive of each query is enough.
    threads : int, optional
        By default one for each core that may be used.
    report : callable, optional
        Told the share of the work that is done, now and then.
    """

    space: Space
    search: Search
    only_first: bool
    threads: int | None = None
    report: Callable[[float], None] = lambda share: None

    def run(self) -> Iterator[Counted]:
        """Go through all pairs. Beside the rows, memory holds a few numbers for each and some tiles."""
        with threadpool_limits(1, user_api="blas"), ThreadPoolExecutor(self.threads or usable_cpus()) as pool:
            if self._both:
                yield self._both_ways(pool)
            else:
                yield from self._one_way(pool)

    @cached_property
    def _levels(self) -> int:
        return 1 if self.only_first else max(1, int(self.search.positives.max(initial=0)))

    @property
    def _both(self) -> bool:
        return self.search.symmetric and self._levels <= FEW

    def _meeting(self, queries: slice) -> Meeting:
        positives = find_positives(self.space, self.search, queries, self.only_first)
        return Meeting(self.space, self.search, positives, few=self._levels <= FEW)

    def _both_ways(self, pool: ThreadPoolExecutor) -> Counted:
        """Each pair of tiles is multiplied once, for the queries of both."""
        whole = slice(0, len(self.search.queries))
        meeting = self._meeting(whole)
        before = np.zeros(meeting.positives.nearness.shape, np.int64)
        panels = _slices(whole, PANEL)
        done, pairs = 0, sum((panel.stop - panel.start) * (whole.stop - panel.start) for panel in panels)
        for panel in panels:
            for met in self._meet_all(pool, meeting, panel, slice(panel.start, whole.stop)):
                before[panel] += met.ours
                before[met.items] += met.theirs
                done += (panel.stop - panel.start) * (met.items.stop - met.items.start)
                self.report(done / pairs)
        return Counted(whole, before)

    def _one_way(self, pool: ThreadPoolExecutor) -> Iterator[Counted]:
        """Queries panel by panel, each with the whole gallery."""
        items = len(self.search.gallery)
        for panel in _slices(
            slice(0, len(self.search.queries)), max(LEAST, min(PANEL, LEVELS_AT_A_TIME // self._levels))
        ):
            meeting = self._meeting(panel)
            before = np.zeros(meeting.positives.nearness.shape, np.int64)
            for met in self._meet_all(pool, meeting, panel, slice(0, items)):
                before += met.ours
                done = panel.start + (panel.stop - panel.start) * met.items.stop / items
                self.report(done / len(self.search.queries))
            yield Counted(panel, before)

    def _meet_all(self, pool: ThreadPoolExecutor, meeting: Meeting, panel: slice, gallery: slice) -> Iterator[_Met]:
        blocks = [meeting.block(self.search.queries, places) for places in _slices(panel, EDGE)]
        return pool.map(lambda places: self._meet(meeting, blocks, places), _slices(gallery, EDGE))

    def _meet(self, meeting: Meeting, blocks: list[Block], places: slice) -> _Met:
        items = meeting.block(self.search.gallery, places)
        levels = meeting.positives.nearness.shape[1]
        ours = [np.zeros((len(block.classes), levels), np.int64) for block in blocks]
        theirs = np.zeros((len(items.classes), levels), np.int64)
        for number, block in enumerate(blocks):
            if self._both and block.places.start > places.start:
                break  # these meet with the roles exchanged
            near = meeting.nearness(block, items)
            ours[number] = meeting.count(near, block, items)
            if self._both and block.places.start < places.start:
                theirs += meeting.count(near, items, block, by_row=False)
        return _Met(places, np.concatenate(ours), theirs)


def _slices(whole: slice, size: int) -> list[slice]:
    return [slice(start, min(start + size, whole.stop)) for start in range(whole.start, whole.stop, size)]
