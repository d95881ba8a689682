"""Compare two embeddings of the same images: paired differences, and where they differ most."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from gluon_lifted.errors import DataError
from gluon_lifted.metrics.bootstrap import ClassBootstrap
from serve_cli.evaluate.metrics import RetrievalMetric, recall_at
from serve_cli.report.neighbors import QueryLine, one_per_class, query_line
from serve_cli.report.summary import SHOWN_METRICS, Summary, members_of, summarize

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from gluon_lifted.metrics.bootstrap import Estimate
    from gluon_lifted.metrics.retrieval import Scores
    from serve_cli.embeddings.reader import Embeddings

CLASSES, QUERIES = 5, 4  # shown in each direction


class Ranked(NamedTuple):
    """Embeddings, and the ranks of their rows as queries."""

    embeddings: Embeddings
    scores: Scores


class ClassDifference(NamedTuple):
    """Name, number of images and recall@1 of a class by both models, and the row of one of its images."""

    name: str
    images: int
    recall: float
    other_recall: float
    sample: int

    @property
    def difference(self) -> float:
        """Recall of the first model minus that of the other."""
        return self.recall - self.other_recall


class QueryPair(NamedTuple):
    """The nearest neighbors of one query by both models."""

    line: QueryLine
    other_line: QueryLine


@dataclass(frozen=True, eq=False)
class Comparison:
    """Another model on the same images. Differences are the first model's values minus the other's.

    Parameters
    ----------
    other : Embeddings
        The other model's embeddings, row for row of the same images.
    scores : Scores
        Ranks of the other model.
    summary : Summary
        Metrics of the other model.
    differences : dict
        Metric -> paired difference with its 95 % interval.
    better, worse : tuple of ClassDifference
        Classes on which the first model has the higher and the lower recall@1, the largest difference first.
    found, lost : tuple of QueryPair
        Queries whose nearest neighbor is right only by the first model, and only by the other.
    num_found, num_lost : int
        Numbers of all such queries.
    """

    other: Embeddings
    scores: Scores
    summary: Summary
    differences: dict[str, Estimate]
    better: tuple[ClassDifference, ...]
    worse: tuple[ClassDifference, ...]
    found: tuple[QueryPair, ...]
    lost: tuple[QueryPair, ...]
    num_found: int
    num_lost: int

    def rows(self) -> set[int]:
        """Return the rows whose pictures are shown."""
        shown = {line.sample for line in (*self.better, *self.worse)}
        for pair in (*self.found, *self.lost):
            shown |= {pair.line.query, *(neighbor.row for line in pair for neighbor in line.neighbors)}
        return shown


def same_images(embeddings: Embeddings, other: Embeddings) -> tuple[Embeddings, Embeddings]:
    """Return the images that both have embedded, in the order of the first. Raise `DataError` if the images differ."""
    rows = {image_id: row for row, image_id in enumerate(other.ids)}
    missing = [image_id for image_id in embeddings.ids if image_id not in rows]
    if missing or len(rows) != len(embeddings):
        raise DataError(
            f"{other.name}: has {len(other):,} images, expected the {len(embeddings):,} of {embeddings.name}"
            + (f"; {missing[0]!r:.100} is missing" if missing else "")
            + "; embed the same images with both models."
        )
    order = np.array([rows[image_id] for image_id in embeddings.ids])
    aligned = replace(
        other,
        ids=embeddings.ids,
        paths=embeddings.paths,
        labels=other.labels[order],
        embedding=other.embedding[order],
        errors=tuple(other.errors[row] for row in order),
    )
    differ = [
        row
        for row, pair in enumerate(zip(embeddings.label_names, aligned.label_names, strict=True))
        if len({*pair}) > 1
    ]
    if differ:
        raise DataError(
            f"{other.name}: {embeddings.ids[differ[0]]!r:.100} has label {aligned.label_names[differ[0]]!r:.60}, "
            f"expected {embeddings.label_names[differ[0]]!r:.60} as in {embeddings.name}; embed the same images with "
            "the same labels."
        )
    both = embeddings.embedded & aligned.embedded
    return embeddings.only(both), aligned.only(both)


def compare(ours: Ranked, other: Ranked, ks: Sequence[int]) -> Comparison:
    """Compare two embeddings of the same rows."""
    labels, embeddings = ours.embeddings.labels, ours.embeddings
    summary = summarize(other.scores, labels, ks)
    bootstrap = ClassBootstrap(labels)
    metrics: list[RetrievalMetric] = [*map(recall_at, summary.recall), *SHOWN_METRICS]
    differences = {
        metric.name: bootstrap.difference(metric.definition(ours.scores), metric.definition(other.scores))
        for metric in metrics
    }
    classes = class_differences(embeddings, ours.scores, other.scores)
    hits, other_hits = ours.scores.first_rank == 1, other.scores.first_rank == 1
    found, lost = hits & ~other_hits, other_hits & ~hits
    return Comparison(
        other=other.embeddings,
        scores=other.scores,
        summary=summary,
        differences=differences,
        better=tuple(line for line in classes[::-1] if line.difference > 0)[:CLASSES],
        worse=tuple(line for line in classes if line.difference < 0)[:CLASSES],
        found=tuple(_query_pairs(ours, other, np.flatnonzero(found), other.scores)),
        lost=tuple(_query_pairs(ours, other, np.flatnonzero(lost), ours.scores)),
        num_found=int(found.sum()),
        num_lost=int(lost.sum()),
    )


def class_differences(embeddings: Embeddings, scores: Scores, other: Scores) -> list[ClassDifference]:
    """Return all classes, the largest loss of the first model first. Ties are broken by size, then by name."""
    lines = []
    for class_id, members in enumerate(members_of(embeddings)):
        recall, other_recall = (float((each.first_rank[members] == 1).mean()) for each in (scores, other))
        name = embeddings.class_names[class_id]
        lines.append(ClassDifference(name, len(members), recall, other_recall, int(members[0])))
    return sorted(lines, key=lambda line: (line.difference, -line.images, line.name))


def _query_pairs(ours: Ranked, other: Ranked, queries: NDArray[np.intp], misses: Scores) -> list[QueryPair]:
    """Select queries that one model misses by the largest rank, one per class, with the neighbors of both."""
    order = queries[np.argsort(-misses.first_rank[queries], kind="stable")]
    chosen = one_per_class(ours.embeddings, order, misses, QUERIES)
    return [QueryPair(query_line(*ours, query), query_line(*other, query)) for query in chosen]
