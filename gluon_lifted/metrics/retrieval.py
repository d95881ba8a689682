"""Retrieval metrics, query by query. A stand-in by plain sorting."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from gluon_lifted.errors import DataError

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

NEVER = np.iinfo(np.int64).max


@dataclass(frozen=True, eq=False)
class Scores:
    """One value for each query: (N,) each."""

    first_rank: NDArray[np.int64]
    positives: NDArray[np.int64]
    r_precision: NDArray[np.float64]
    map_at_r: NDArray[np.float64]
    average_precision: NDArray[np.float64]


def retrieval_scores(embedding: ArrayLike, labels: ArrayLike, distance: str = "euclidean") -> Scores:
    """Every row a query, all others its gallery."""
    if distance != "euclidean":
        raise DataError(f"distance {distance!r} is unknown; use 'euclidean'.")
    rows = np.asarray(embedding, np.float64)
    _, classes = np.unique(np.asarray(labels), return_inverse=True)
    if len(rows) < 2:
        raise DataError(f"retrieval needs at least 2 images, found {len(rows)}.")
    found = [_of_query(rows, classes, query) for query in range(len(rows))]
    first, positives, precision, map_at_r, average = (np.array(column) for column in zip(*found, strict=True))
    return Scores(first.astype(np.int64), positives.astype(np.int64), precision, map_at_r, average)


def _of_query(rows: NDArray[np.float64], classes: NDArray[np.intp], query: int) -> tuple[int, int, float, float, float]:
    distance = np.square(rows - rows[query]).sum(axis=1)
    distance[query] = np.inf
    order = np.argsort(distance, kind="stable")[:-1]
    hit = classes[order] == classes[query]
    R = int(hit.sum())
    if R == 0:
        return NEVER, 0, np.nan, np.nan, np.nan
    precision = np.cumsum(hit) / np.arange(1, len(hit) + 1)
    return int(hit.argmax()) + 1, R, hit[:R].mean(), (precision * hit)[:R].sum() / R, (precision * hit).sum() / R
