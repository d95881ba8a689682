"""What a report shows, computed from the rows: everything but the pictures."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from gluon_lifted.metrics.ranking.search import Search
from gluon_lifted.metrics.retrieval import retrieval_scores
from serve_cli.progress import open_progress
from serve_cli.report.layout2d import NAMES, place, sample_rows
from serve_cli.report.neighbors import Grid, neighbor_grids
from serve_cli.report.pairs import PairDistances, pair_distances
from serve_cli.report.summary import (
    ClassLine,
    Summary,
    class_lines,
    summarize,
)
from serve_cli.report.suspects import Suspects, find_suspects, nearest_of_both_kinds

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from serve_cli.choices import MapMethod
    from serve_cli.report.rows import Rows

MAX_CLASSES = 500  # that are listed; the worst


@dataclass(frozen=True, eq=False)
class Map:
    """Places of some rows in the unit square, and the method's name.

    ``rows`` (M,), ``places`` (M, 2).
    """

    method: str
    rows: NDArray[np.intp]
    places: NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Findings:
    """All that is to be shown of some rows.

    Parameters
    ----------
    rows : Rows
    seed : int
        Of all that was drawn at random.
    summary : Summary
    classes : tuple of ClassLine
        The worst first, at most `MAX_CLASSES`.
    grids : tuple of Grid
    map : Map
    pairs : PairDistances
    suspects : Suspects
    """

    rows: Rows
    seed: int
    summary: Summary
    classes: tuple[ClassLine, ...]
    grids: tuple[Grid, ...]
    map: Map
    pairs: PairDistances
    suspects: Suspects

    def tiles(self) -> set[int]:
        """Rows whose pictures are shown outside the map."""
        shown = {line.sample for line in self.classes}
        for grid in self.grids:
            for found in grid.lines:
                shown |= {found.query, *(one.row for one in found.neighbors)}
        for pair in (*self.suspects.duplicates, *self.suspects.label_errors):
            shown |= {pair.first, pair.second}
        return shown

    def with_suspects(self, suspects: Suspects) -> Findings:
        return replace(self, suspects=suspects)

    def with_map_share(self, share: float) -> Findings:
        """The same with fewer images on the map, spread evenly over those there are."""
        kept = np.linspace(0, len(self.map.rows) - 1, max(1, round(share * len(self.map.rows)))).astype(int)
        return replace(self, map=Map(self.map.method, self.map.rows[kept], self.map.places[kept]))


def gather(rows: Rows, ks: Sequence[int], method: MapMethod, map_images: int, seed: int) -> Findings:
    """Compute what a report shows. Progress goes to stderr.

    Parameters
    ----------
    rows : Rows
    ks : sequence of int
        Ranks to report recall at.
    method : MapMethod
        What places images on the map.
    map_images : int
        Most images on the map.
    seed : int
    """
    sample = sample_rows(rows, map_images, seed)
    placed = Map(NAMES[method], sample, place(rows.embedding[sample], method, seed))
    with open_progress("rank", len(rows), "queries") as progress:
        scores = retrieval_scores(
            Search.leave_one_out(rows.embedding, rows.classes),
            report=lambda share: progress.update(round(share * len(rows))),
        )
    nearest = nearest_of_both_kinds(rows, seed)
    whole = len(nearest.rows) == len(rows)
    return Findings(
        rows,
        seed,
        summarize(scores, ks),
        tuple(class_lines(rows, scores, nearest.other if whole else None)[:MAX_CLASSES]),
        neighbor_grids(rows, scores, seed),
        placed,
        pair_distances(rows, seed),
        find_suspects(nearest),
    )
