"""Which images make a batch. Samplers keep no state: batch i depends on the seed and i alone, so resuming is exact."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


class BalancedSampler:
    """P classes x K images.

    Every class comes up once per epoch of ``C // P`` batches (those left over by the division change from epoch
    to epoch). A class with fewer than K images gives all of them, and then some again.

    Parameters
    ----------
    labels : ndarray, int64, (N,)
        Class of each image, 0 ... C - 1.
    num_classes, num_images : int
        P and K. P is lowered to C where there are fewer classes.
    seed : int
        Equal seeds give equal batches.
    """

    def __init__(self, labels: NDArray[np.int64], num_classes: int, num_images: int, seed: int) -> None:
        order = np.argsort(labels, kind="stable")
        self._rows_of_class = np.split(order, np.cumsum(np.bincount(labels))[:-1])
        self.num_classes = min(num_classes, len(self._rows_of_class))
        self.num_images = num_images
        self.seed = seed

    def batch(self, iteration: int) -> NDArray[np.int64]:
        """Rows of batch ``iteration``: (P * K,), the K images of a class side by side."""
        epoch, position = divmod(iteration, len(self._rows_of_class) // self.num_classes)
        classes = np.random.default_rng([self.seed, epoch]).permutation(len(self._rows_of_class))
        chosen = classes[position * self.num_classes : (position + 1) * self.num_classes]
        rng = np.random.default_rng([self.seed, epoch, position])
        # np.resize repeats the permutation where a class is smaller than K
        return np.concatenate([np.resize(rng.permutation(self._rows_of_class[one]), self.num_images) for one in chosen])
