"""Measure distances between images of the same class and of different classes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from serve_cli.report.summary import members_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from serve_cli.embeddings.reader import Embeddings

PAIRS = 100_000  # largest number of each kind
BINS = 60
BLOCK = 1 << 14  # pairs whose differences are in memory at a time


@dataclass(frozen=True, eq=False)
class PairDistances:
    """Histograms of the distances of positive pairs (same class) and negative pairs (different classes).

    Parameters
    ----------
    edges : ndarray, float64, (BINS + 1,)
        Edges of the bins, from 0 to the largest distance.
    positive, negative : ndarray, float64, (BINS,)
        Share of the pairs in each bin; all zero without pairs.
    num_positive, num_negative : int
        Pairs that were measured.
    all_positive, all_negative : int
        Pairs that exist.
    median_positive, median_negative : float
        Median distance; NaN without pairs.
    """

    edges: NDArray[np.float64]
    positive: NDArray[np.float64]
    negative: NDArray[np.float64]
    num_positive: int
    num_negative: int
    all_positive: int
    all_negative: int
    median_positive: float
    median_negative: float

    @property
    def overlap(self) -> float:
        r"""Area that both histograms share, in [0, 1]: :math:`\sum_b \min(p_b, n_b)` (Weitzman 1970)."""
        return float(np.minimum(self.positive, self.negative).sum())


def pair_distances(embeddings: Embeddings, seed: int) -> PairDistances:
    """Compute Euclidean distances of all pairs of each kind, or of 100,000 drawn with ``seed`` if there are more."""
    rng = np.random.default_rng(seed)
    sizes = embeddings.images_per_class()
    all_positive = int((sizes * (sizes - 1) // 2).sum())
    all_negative = len(embeddings) * (len(embeddings) - 1) // 2 - all_positive
    near = distances_of(embeddings.embedding, positive_pairs(embeddings, rng))
    far = distances_of(embeddings.embedding, negative_pairs(embeddings, rng))
    top = max(near.max(initial=0.0), far.max(initial=0.0)) or 1.0  # 0 if all images are the same
    edges = np.linspace(0, top, BINS + 1)
    return PairDistances(
        edges=edges,
        positive=_shares(near, edges),
        negative=_shares(far, edges),
        num_positive=len(near),
        num_negative=len(far),
        all_positive=all_positive,
        all_negative=all_negative,
        median_positive=_median(near),
        median_negative=_median(far),
    )


def _shares(distances: NDArray[np.float64], edges: NDArray[np.float64]) -> NDArray[np.float64]:
    counts = np.histogram(distances, edges)[0]
    return counts.astype(np.float64) / max(len(distances), 1)


def _median(distances: NDArray[np.float64]) -> float:
    return float(np.median(distances)) if len(distances) else float("nan")


def positive_pairs(embeddings: Embeddings, rng: np.random.Generator) -> NDArray[np.intp]:
    """Return pairs of different rows of one class, (P, 2): all, or `PAIRS` drawn with replacement."""
    members = [rows for rows in members_of(embeddings) if len(rows) > 1]
    counts = np.array([len(rows) * (len(rows) - 1) // 2 for rows in members], np.int64)
    if counts.sum() <= PAIRS:
        every = [rows[np.stack(np.triu_indices(len(rows), 1), axis=1)] for rows in members]
        return np.concatenate([*every, np.empty((0, 2), np.intp)])
    drawn = np.bincount(rng.choice(len(members), PAIRS, p=counts / counts.sum()), minlength=len(members))
    return np.concatenate([_two_different(rows, number, rng) for rows, number in zip(members, drawn, strict=True)])


def _two_different(members: NDArray[np.intp], number: int, rng: np.random.Generator) -> NDArray[np.intp]:
    first = rng.integers(len(members), size=number)
    second = (first + rng.integers(1, len(members), size=number)) % len(members)
    return np.stack([members[first], members[second]], axis=1)


def negative_pairs(embeddings: Embeddings, rng: np.random.Generator) -> NDArray[np.intp]:
    """Return pairs of rows of two classes, (P, 2): all, or `PAIRS` drawn with replacement."""
    num_rows, classes = len(embeddings), embeddings.labels
    if num_rows * (num_rows - 1) // 2 <= PAIRS:
        first, second = np.triu_indices(num_rows, 1)
        different = classes[first] != classes[second]
        return np.stack([first[different], second[different]], axis=1)
    # Draw a first row in proportion to its number of partners, then a partner: sorted by class, partners are one range
    order = np.argsort(classes, kind="stable")
    sizes = embeddings.images_per_class()
    partners = (num_rows - sizes).astype(np.float64)
    if not partners.any():
        return np.empty((0, 2), np.intp)
    chance = sizes * partners
    kinds = rng.choice(len(sizes), PAIRS, p=chance / chance.sum())
    starts = np.cumsum(sizes) - sizes
    first = order[starts[kinds] + rng.integers(sizes[kinds])]
    after = starts[kinds] + sizes[kinds] + rng.integers((num_rows - sizes)[kinds])
    return np.stack([first, order[after % num_rows]], axis=1)


def distances_of(embedding: NDArray[np.float32], pairs: NDArray[np.intp]) -> NDArray[np.float64]:
    """Compute the Euclidean distance of each of the ``pairs`` of rows, (P, 2), from float64 differences: (P,)."""
    distances = np.empty(len(pairs))
    for start in range(0, len(pairs), BLOCK):
        first, second = pairs[start : start + BLOCK].T
        apart = embedding[first].astype(np.float64) - embedding[second]
        distances[start : start + BLOCK] = np.sqrt(np.einsum("nd,nd->n", apart, apart))
    return distances
