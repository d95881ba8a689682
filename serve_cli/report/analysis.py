"""Compute everything that a report shows, except for the thumbnails."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from gluon_lifted.metrics.ranking.search import Search
from gluon_lifted.metrics.retrieval import retrieval_scores
from gluon_lifted.progress import open_progress
from serve_cli.report.comparison import Comparison, Ranked, compare
from serve_cli.report.layout2d import NAMES, layout_2d, sample_rows
from serve_cli.report.neighbors import Grid, neighbor_grids
from serve_cli.report.pairs import PairDistances, pair_distances
from serve_cli.report.summary import ClassLine, Summary, class_lines, summarize
from serve_cli.report.suspects import Suspects, find_suspects, nearest_of_both_kinds
from serve_cli.report.trained_classes import TrainedClasses, split_by_training

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from gluon_lifted.metrics.retrieval import Scores
    from serve_cli.embeddings.reader import Embeddings
    from serve_cli.report.baselines import Baselines
    from serve_cli.report.report_options import ReportOptions
    from serve_cli.report.run_start import RunStart

MAX_CLASSES = 500  # in the list of the worst classes


@dataclass(frozen=True, eq=False)
class Map:
    """Images in two dimensions.

    Parameters
    ----------
    method : str
        Name of the layout method, as shown.
    rows : ndarray, intp, (M,)
        Rows on the map.
    positions : ndarray, float64, (M, 2)
        Their positions in the unit square.
    """

    method: str
    rows: NDArray[np.intp]
    positions: NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Context:
    """What the embeddings are compared with.

    Parameters
    ----------
    baselines : Baselines
        Recall of something simpler on the same images.
    other : Embeddings, optional
        The same images in the same order, embedded by another model.
    start : RunStart, optional
        The start of the run that trained the model.
    """

    baselines: Baselines
    other: Embeddings | None = None
    start: RunStart | None = None


@dataclass(frozen=True, eq=False)
class Analysis:
    """Everything that a report shows.

    Parameters
    ----------
    embeddings : Embeddings
        Each row has an embedding and a label.
    context : Context
        What they are compared with.
    seed : int
        Seed of all samples.
    summary : Summary
        Metrics of all queries.
    classes : tuple of ClassLine
        The worst first, at most `MAX_CLASSES`.
    grids : tuple of Grid
        Queries with their nearest neighbors.
    map : Map
        Images in two dimensions.
    pairs : PairDistances
        Distances within and between classes.
    suspects : Suspects
        Duplicates and suspected label errors.
    first_rank : ndarray, int64, (N,)
        Rank of each query's first positive.
    trained : TrainedClasses or None
        Classes that were trained on; None if they are not known.
    comparison : Comparison or None
        Another model on the same images.
    """

    embeddings: Embeddings
    context: Context
    seed: int
    summary: Summary
    classes: tuple[ClassLine, ...]
    grids: tuple[Grid, ...]
    map: Map
    pairs: PairDistances
    suspects: Suspects
    first_rank: NDArray[np.int64]
    trained: TrainedClasses | None
    comparison: Comparison | None

    def rows_outside_map(self) -> set[int]:
        """Return the rows whose thumbnails are shown outside the map."""
        shown = {line.sample for line in self.classes}
        for grid in self.grids:
            for line in grid.lines:
                shown |= {line.query, *(neighbor.row for neighbor in line.neighbors)}
        for pair in (*self.suspects.duplicates, *self.suspects.label_errors):
            shown |= {pair.first, pair.second}
        return shown if self.comparison is None else shown | self.comparison.rows()

    def with_suspects(self, suspects: Suspects) -> Analysis:
        """Copy the analysis with other suspects."""
        return replace(self, suspects=suspects)

    def with_map_share(self, share: float) -> Analysis:
        """Copy the analysis with a share of the images on the map, picked at even steps."""
        kept = np.linspace(0, len(self.map.rows) - 1, max(1, round(share * len(self.map.rows)))).astype(int)
        return replace(self, map=Map(self.map.method, self.map.rows[kept], self.map.positions[kept]))


def analyze(embeddings: Embeddings, context: Context, options: ReportOptions) -> Analysis:
    """Compute what a report shows of rows that have an embedding and a label."""
    start, other = context.start, context.other
    seed = options.seed
    sample = sample_rows(embeddings, options.map_images, seed)
    positions = layout_2d(embeddings.embedding[sample], options.method, seed)
    scores = _rank(embeddings)
    nearest = nearest_of_both_kinds(embeddings, seed)
    whole = len(nearest.rows) == len(embeddings)
    return Analysis(
        embeddings=embeddings,
        context=context,
        seed=seed,
        summary=summarize(scores, embeddings.labels, options.ks),
        classes=tuple(class_lines(embeddings, scores, nearest.other if whole else None)[:MAX_CLASSES]),
        grids=neighbor_grids(embeddings, scores, seed),
        map=Map(NAMES[options.method], sample, positions),
        pairs=pair_distances(embeddings, seed),
        suspects=find_suspects(nearest),
        first_rank=scores.first_rank,
        trained=None if start is None else split_by_training(embeddings, scores, start.training_classes),
        comparison=None
        if other is None
        else compare(Ranked(embeddings, scores), Ranked(other, _rank(other)), options.ks),
    )


def _rank(embeddings: Embeddings) -> Scores:
    with open_progress("rank", len(embeddings), "queries") as progress:
        return retrieval_scores(
            Search.leave_one_out(embeddings.embedding, embeddings.labels),
            report=lambda share: progress.update(round(share * len(embeddings))),
        )
