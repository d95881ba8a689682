"""How far apart images of one class are, and images of two."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from serve_cli.report.summary import members_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from serve_cli.report.rows import Rows

PAIRS = 100_000  # most of each kind
BINS = 60
BLOCK = 1 << 14  # pairs whose differences are held at a time


@dataclass(frozen=True, eq=False)
class PairDistances:
    """Histograms of the distances of pairs of one class (positive) and of two classes (negative).

    Parameters
    ----------
    edges : ndarray, float64, (BINS + 1,)
        Of the bins, from 0 to the largest distance.
    positive, negative : ndarray, float64, (BINS,)
        Share of the pairs in each bin; zeros where there are no such pairs.
    num_positive, num_negative : int
        Pairs that were measured.
    all_positive, all_negative : int
        Pairs that there are.
    median_positive, median_negative : float
        NaN where there are no such pairs.
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


def pair_distances(rows: Rows, seed: int) -> PairDistances:
    """Euclidean distances of at most 100,000 pairs of each kind, all if there are no more, else drawn with ``seed``."""
    rng = np.random.default_rng(seed)
    sizes = rows.images_per_class()
    all_positive = int((sizes * (sizes - 1) // 2).sum())
    all_negative = len(rows) * (len(rows) - 1) // 2 - all_positive
    near = distances_of(rows.embedding, positive_pairs(rows, rng))
    far = distances_of(rows.embedding, negative_pairs(rows, rng))
    top = max(near.max(initial=0.0), far.max(initial=0.0)) or 1.0  # all images are the same
    edges = np.linspace(0, top, BINS + 1)
    return PairDistances(
        edges,
        _shares(near, edges),
        _shares(far, edges),
        len(near),
        len(far),
        all_positive,
        all_negative,
        _median(near),
        _median(far),
    )


def _shares(distances: NDArray[np.float64], edges: NDArray[np.float64]) -> NDArray[np.float64]:
    counts = np.histogram(distances, edges)[0]
    return counts.astype(np.float64) / max(len(distances), 1)


def _median(distances: NDArray[np.float64]) -> float:
    return float(np.median(distances)) if len(distances) else float("nan")


def positive_pairs(rows: Rows, rng: np.random.Generator) -> NDArray[np.intp]:
    """Pairs of different rows of one class, (P, 2): all of them, or `PAIRS` drawn with replacement."""
    members = [found for found in members_of(rows) if len(found) > 1]
    counts = np.array([len(found) * (len(found) - 1) // 2 for found in members], np.int64)
    if counts.sum() <= PAIRS:
        every = [found[np.stack(np.triu_indices(len(found), 1), axis=1)] for found in members]
        return np.concatenate([*every, np.empty((0, 2), np.intp)])
    drawn = np.bincount(rng.choice(len(members), PAIRS, p=counts / counts.sum()), minlength=len(members))
    return np.concatenate([_two_different(found, number, rng) for found, number in zip(members, drawn, strict=True)])


def _two_different(members: NDArray[np.intp], number: int, rng: np.random.Generator) -> NDArray[np.intp]:
    first = rng.integers(len(members), size=number)
    second = (first + rng.integers(1, len(members), size=number)) % len(members)
    return np.stack([members[first], members[second]], axis=1)


def negative_pairs(rows: Rows, rng: np.random.Generator) -> NDArray[np.intp]:
    """Pairs of rows of two classes, (P, 2): all of them, or `PAIRS` drawn with replacement."""
    num_rows, classes = len(rows), rows.classes
    if num_rows * (num_rows - 1) // 2 <= PAIRS:
        first, second = np.triu_indices(num_rows, 1)
        different = classes[first] != classes[second]
        return np.stack([first[different], second[different]], axis=1)
    # A first row by how many partners it has, then one of them: rows in order of their classes have those in one run
    order = np.argsort(classes, kind="stable")
    sizes = rows.images_per_class()
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
    """Euclidean distance of each pair of rows, by float64 differences.

    Parameters
    ----------
    embedding : ndarray, float32, (N, D)
    pairs : ndarray, intp, (P, 2)

    Returns
    -------
    ndarray, float64, (P,)
    """
    found = np.empty(len(pairs))
    for start in range(0, len(pairs), BLOCK):
        first, second = pairs[start : start + BLOCK].T
        apart = embedding[first].astype(np.float64) - embedding[second]
        found[start : start + BLOCK] = np.sqrt(np.einsum("nd,nd->n", apart, apart))
    return found
