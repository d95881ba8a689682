"""Find pairs of nearly identical images: duplicates within a class, suspected label errors across two."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from gluon_lifted.metrics.ranking.distance import DistanceMetric, PreparedRows
from gluon_lifted.progress import open_progress
from serve_cli.report.pairs import distances_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from serve_cli.embeddings.reader import Embeddings

NEAR = 0.1  # share of the median distance to the nearest other image that counts as near zero
CANDIDATES = 200  # largest number of pairs of each kind whose pictures are compared
MOST_ROWS = 60_000  # largest number of rows to compare; a sample if there are more
BLOCK_BYTES = 64 << 20  # distances in memory at a time


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
        Pairs of one class, and of two; at most `CANDIDATES` each.
    num_duplicates, num_label_errors : int
        Numbers of all such pairs.
    threshold : float
        `NEAR` times the median distance of an image to its nearest neighbor.
    compared : int
        Number of rows that were compared.
    """

    duplicates: tuple[Pair, ...]
    label_errors: tuple[Pair, ...]
    num_duplicates: int
    num_label_errors: int
    threshold: float
    compared: int


@dataclass(frozen=True, eq=False)
class Nearest:
    """Nearest rows of the same class and of other classes, with distances, (M,), or -1 and infinity if there is none.

    ``rows``, (M,), are the rows that were compared.
    """

    rows: NDArray[np.intp]
    same: NDArray[np.intp]
    same_distance: NDArray[np.float64]
    other: NDArray[np.intp]
    other_distance: NDArray[np.float64]


def nearest_of_both_kinds(embeddings: Embeddings, seed: int) -> Nearest:
    """Find the nearest row of the same class and of other classes, for each row or for 60,000 drawn with ``seed``.

    Matrix products in float32 select the rows, so a near-tie may go to the wrong row. Distances are exact in float64.
    """
    chosen = np.arange(len(embeddings))
    if len(embeddings) > MOST_ROWS:
        chosen = np.random.default_rng(seed).choice(len(embeddings), MOST_ROWS, replace=False)
    chosen = chosen[np.lexsort((chosen, embeddings.labels[chosen]))]  # a class is one range of columns
    same, other = _candidates(embeddings.embedding[chosen], embeddings.labels[chosen])
    back = np.argsort(chosen)
    same_rows, same_distance = _with_distance(embeddings.embedding, chosen, same)
    other_rows, other_distance = _with_distance(embeddings.embedding, chosen, other)
    return Nearest(chosen[back], same_rows[back], same_distance[back], other_rows[back], other_distance[back])


def _candidates(
    embedding: NDArray[np.float32], classes: NDArray[np.int64]
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Return the nearest row of the same and of another class, (M,), -1 for none. Takes rows sorted by class."""
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
    """Turn indices into ``chosen`` into rows, and compute their distances."""
    there = nearest >= 0
    rows = np.where(there, chosen[nearest], -1)
    distance = np.full(len(rows), np.inf)
    distance[there] = distances_of(embedding, np.stack([chosen[there], rows[there]], axis=1))
    return rows, distance


def find_suspects(nearest: Nearest) -> Suspects:
    """Find pairs of an image and its nearest neighbor, of its class or of another, within the threshold."""
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
    """Return each pair once, the nearest first."""
    pairs = {
        Pair(int(min(row, partner)), int(max(row, partner)), float(apart))
        for row, partner, apart in zip(rows, nearest, distance, strict=True)
        if apart <= threshold
    }
    return tuple(sorted(pairs, key=lambda pair: (pair.distance, pair.first, pair.second)))
