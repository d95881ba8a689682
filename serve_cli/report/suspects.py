"""Pairs of nearly identical images: duplicates within a class, suspected label errors across two."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from gluon_lifted.metrics.ranking.distance import DistanceMetric, PreparedRows
from serve_cli.progress import open_progress
from serve_cli.report.pairs import distances_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from serve_cli.embeddings.reader import Embeddings

NEAR = 0.1  # share of the median distance to the nearest other image that counts as near zero
CANDIDATES = 200  # pairs of each kind whose pictures are compared, at most
MOST_ROWS = 60_000  # compared with one another; this many are drawn where there are more
BLOCK_BYTES = 64 << 20  # of distances held at a time


class Pair(NamedTuple):
    """Two rows, the lower one first, their Euclidean distance, and whether their pictures look the same."""

    first: int
    second: int
    distance: float
    alike: bool = False


@dataclass(frozen=True, eq=False)
class Suspects:
    """Pairs at near-zero distance, the nearest first.

    Parameters
    ----------
    duplicates, label_errors : tuple of Pair
        Of one class, and of two; at most `CANDIDATES`.
    num_duplicates, num_label_errors : int
        How many there are.
    threshold : float
        `NEAR` times the median distance of an image to its nearest other one.
    compared : int
        Rows that were compared.
    """

    duplicates: tuple[Pair, ...]
    label_errors: tuple[Pair, ...]
    num_duplicates: int
    num_label_errors: int
    threshold: float
    compared: int


@dataclass(frozen=True, eq=False)
class Nearest:
    """The nearest row of the same class and of another one, and its distance; -1 and infinity where there is none.

    ``rows`` (M,) are those that were compared; the others are (M,) each.
    """

    rows: NDArray[np.intp]
    same: NDArray[np.intp]
    same_distance: NDArray[np.float64]
    other: NDArray[np.intp]
    other_distance: NDArray[np.float64]


def nearest_of_both_kinds(embeddings: Embeddings, seed: int) -> Nearest:
    """For each row, or each of 60,000 drawn with ``seed``, its nearest one of its own class and of the others.

    Candidates come from matrix products in float32, so a near-tie may go to the wrong row; distances are exact float64.

    Progress goes to stderr.
    """
    chosen = np.arange(len(embeddings))
    if len(embeddings) > MOST_ROWS:
        chosen = np.random.default_rng(seed).choice(len(embeddings), MOST_ROWS, replace=False)
    chosen = chosen[np.lexsort((chosen, embeddings.labels[chosen]))]  # a class is one run of columns
    same, other = _candidates(embeddings.embedding[chosen], embeddings.labels[chosen])
    back = np.argsort(chosen)
    same_rows, same_distance = _with_distance(embeddings.embedding, chosen, same)
    other_rows, other_distance = _with_distance(embeddings.embedding, chosen, other)
    return Nearest(chosen[back], same_rows[back], same_distance[back], other_rows[back], other_distance[back])


def _candidates(
    embedding: NDArray[np.float32], classes: NDArray[np.int64]
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Rows sorted by class -> the nearest row of the same and of another class, -1 for none; (M,) each."""
    metric = DistanceMetric.fit(embedding, distance="euclidean")
    items = metric.prepare(embedding, np.float32)
    starts = np.searchsorted(classes, classes, "left")
    stops = np.searchsorted(classes, classes, "right")
    same, other = np.full(len(classes), -1), np.full(len(classes), -1)
    block = max(1, BLOCK_BYTES // (4 * len(classes)))
    with open_progress("nearest", len(classes)) as progress:
        for start in range(0, len(classes), block):
            part = slice(start, start + block)
            similarity = metric.similarity(PreparedRows(items.rows[part], items.half_square[part], items.radius), items)
            for line, row in zip(similarity, range(start, start + len(similarity)), strict=True):
                line[row] = -np.inf
                own = line[starts[row] : stops[row]]
                if len(own) > 1:
                    same[row] = starts[row] + own.argmax()
                own[:] = -np.inf
            if starts[-1] > 0:  # more than one class
                other[part] = similarity.argmax(axis=1)
            progress.update(min(start + block, len(classes)))
    return same, other


def _with_distance(
    embedding: NDArray[np.float32], chosen: NDArray[np.intp], nearest: NDArray[np.intp]
) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
    """Numbers within ``chosen`` -> rows and their distance."""
    there = nearest >= 0
    rows = np.where(there, chosen[nearest], -1)
    distance = np.full(len(rows), np.inf)
    distance[there] = distances_of(embedding, np.stack([chosen[there], rows[there]], axis=1))
    return rows, distance


def find_suspects(nearest: Nearest) -> Suspects:
    """Pairs of an image and its nearest neighbor, of its class or of another, within the threshold."""
    median = np.median(np.minimum(nearest.same_distance, nearest.other_distance))
    threshold = NEAR * float(median)
    duplicates = _pairs_within(nearest.rows, nearest.same, nearest.same_distance, threshold)
    errors = _pairs_within(nearest.rows, nearest.other, nearest.other_distance, threshold)
    return Suspects(
        duplicates=duplicates[:CANDIDATES],
        label_errors=errors[:CANDIDATES],
        num_duplicates=len(duplicates),
        num_label_errors=len(errors),
        threshold=threshold,
        compared=len(nearest.rows),
    )


def _pairs_within(
    rows: NDArray[np.intp], nearest: NDArray[np.intp], distance: NDArray[np.float64], threshold: float
) -> tuple[Pair, ...]:
    """Each pair once, the nearest first."""
    pairs = {
        Pair(int(min(row, partner)), int(max(row, partner)), float(apart))
        for row, partner, apart in zip(rows, nearest, distance, strict=True)
        if apart <= threshold
    }
    return tuple(sorted(pairs, key=lambda pair: (pair.distance, pair.first, pair.second)))
