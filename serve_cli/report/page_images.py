"""The images on a page, and the nearest neighbors of each among them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from gluon_lifted.metrics.ranking.distance import DistanceMetric
from serve_cli.report.pairs import distances_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

NEIGHBORS = 8  # of each image
BLOCK = 1 << 10  # rows whose similarities to all others are in memory at a time


@dataclass(frozen=True, eq=False)
class PageImages:
    """Images on a page.

    Parameters
    ----------
    rows : ndarray, intp, (P,)
        Rows of the embeddings: those on the map first, in its order, then the others.
    on_map : int
        Number of rows on the map.
    """

    rows: NDArray[np.intp]
    on_map: int

    @staticmethod
    def of(map_rows: NDArray[np.intp], shown: Iterable[int]) -> PageImages:
        """Collect the rows on the map and the rows shown elsewhere, each once."""
        others = sorted(set(shown) - set(map_rows.tolist()))
        return PageImages(np.concatenate([map_rows, np.array(others, np.intp)]), len(map_rows))

    def __len__(self) -> int:
        return len(self.rows)

    def nearest(self, embedding: NDArray[np.float32]) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
        """Find the nearest neighbors of each image among the images on the page.

        Matrix products in float32 select them, so a near-tie may go to the wrong image. Distances are exact in float64.

        Parameters
        ----------
        embedding : ndarray, float32, (N, D)
            All rows.

        Returns
        -------
        ndarray, intp, (P, k)
            Positions in ``rows``, nearest first. k is at most 8, and at most P - 1.
        ndarray, float64, (P, k)
            Euclidean distances.
        """
        shown = embedding[self.rows]
        metric = DistanceMetric.fit(shown, distance="euclidean")
        prepared = metric.prepare(shown, np.float32)
        count = min(NEIGHBORS, len(self) - 1)
        nearest = np.empty((len(self), count), np.intp)
        for start in range(0, len(self), BLOCK):
            block = slice(start, start + BLOCK)
            similarity = metric.similarity(prepared.part(block), prepared)
            own = np.arange(len(similarity))
            similarity[own, start + own] = -np.inf
            nearest[block] = np.argpartition(-similarity, count - 1, axis=1)[:, :count]
        pairs = np.stack([np.repeat(self.rows, count), self.rows[nearest.ravel()]], axis=1)
        distances = distances_of(embedding, pairs).reshape(nearest.shape)
        order = np.lexsort((nearest, distances), axis=1)
        return np.take_along_axis(nearest, order, axis=1), np.take_along_axis(distances, order, axis=1)
