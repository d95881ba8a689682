"""Choose the images of each batch. Samplers are stateless: batch i depends only on seed and i, so resuming is exact."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import numpy as np

from gluon_lifted.errors import ConfigError, DataError

if TYPE_CHECKING:
    from numpy.typing import NDArray

MAX_PAIRS = 10_000_000  # positive pairs; with negatives 320 MB of row numbers, and as much again to shuffle


class Sampler(Protocol):
    """A sampler of batches, without state."""

    seed: int

    def batch(self, iteration: int) -> NDArray[np.int64]:
        """Return the rows of batch ``iteration``, counted from 0: (B,)."""


class BalancedSampler:
    """Batches of P classes x K images.

    An epoch has ``C // P`` batches, and each class is in at most one of them. The remainder of the division is left
    out: different classes in each epoch. A class with fewer than K images repeats some.

    Parameters
    ----------
    labels : ndarray, int64, (N,)
        Class of each image, 0 ... C - 1.
    num_classes, num_images : int
        P and K. P is reduced to C if there are fewer classes.
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
        """Return the rows of batch ``iteration``: (P * K,), the K images of a class next to each other."""
        epoch, position = divmod(iteration, len(self._rows_of_class) // self.num_classes)
        classes = np.random.default_rng([self.seed, epoch]).permutation(len(self._rows_of_class))
        chosen = classes[position * self.num_classes : (position + 1) * self.num_classes]
        rng = np.random.default_rng([self.seed, epoch, position])
        # np.resize repeats the permutation if a class is smaller than K
        return np.concatenate(
            [np.resize(rng.permutation(self._rows_of_class[label]), self.num_images) for label in chosen]
        )


class PairSampler:
    """The authors' list of pairs, in blocks of B/2 left and B/2 right images.

    It follows their ``get_training_examples_multilabel.m`` and ``gen_caffe_dataset_multilabel_m128.m``, where B is 128:

    1. The positive pairs are all pairs of two images of a class, and every image paired with itself (random crops
       still make the two sides differ).
    2. Each image gets ``ceil(positive pairs / images)`` negatives. A class of n images draws n times as many
       distinct images of other classes, or all of them if there are fewer, and distributes them evenly.
    3. Random negative pairs are dropped until the number of pairs is a multiple of B/2 (then positive pairs, if
       there are too few negatives). The list is shuffled once and cut into blocks.

    The list is made once and repeated: only crops change from pass to pass.

    Parameters
    ----------
    labels : ndarray, int64, (N,)
        Class of each image, 0 ... C - 1.
    batch_size : int
        B, number of images; even. 128 in the paper.
    seed : int
        Equal seeds give equal lists.

    Attributes
    ----------
    blocks : ndarray, int64, (batches of a pass, B)
        Rows of each batch: left images, then right images. Columns i and i + B/2 are a pair.

    Raises
    ------
    ConfigError
        If the batch size is odd or below 2, the list is too short for one block, or the classes have more than
        `MAX_PAIRS` positive pairs.
    """

    def __init__(self, labels: NDArray[np.int64], batch_size: int, seed: int) -> None:
        _check_batch_size(batch_size, 2, "pairs")
        classes = _Classes(labels)
        num_positives = int((classes.sizes * (classes.sizes + 1) // 2).sum())
        if num_positives > MAX_PAIRS:
            raise ConfigError(
                f"the classes have {num_positives:,} positive pairs; the limit of the pairs sampler is {MAX_PAIRS:,}. "
                "Use --sampler balanced."
            )
        rng = np.random.default_rng(seed)
        negs_per_image = -(-num_positives // len(labels))  # rounded up
        all_labels = range(len(classes))
        positives = np.concatenate([classes.positive_pairs(label) for label in all_labels], axis=1)
        negatives = np.concatenate([classes.negative_pairs(label, negs_per_image, rng) for label in all_labels], axis=1)
        pairs = np.concatenate([rng.permutation(negatives, axis=1), rng.permutation(positives, axis=1)], axis=1)
        half = batch_size // 2
        if pairs.shape[1] < half:
            raise ConfigError(
                f"a batch of {batch_size} images needs {half} pairs, but the images only form {pairs.shape[1]}. Lower "
                "--batch-size."
            )
        pairs = rng.permutation(pairs[:, pairs.shape[1] % half :], axis=1)  # (2, blocks * half): left, right
        self.blocks: NDArray[np.int64] = pairs.reshape(2, -1, half).transpose(1, 0, 2).reshape(-1, batch_size)
        self.seed = seed

    def batch(self, iteration: int) -> NDArray[np.int64]:
        """Return the rows of batch ``iteration``: (B,), left images, then right images."""
        rows: NDArray[np.int64] = self.blocks[iteration % len(self.blocks)].copy()
        return rows


class TripletSampler:
    """Disjoint triplets: B/3 anchors, each with its own positive and negative.

    The authors published no sampler of triplets. This is the simplest. Every image is an anchor once per epoch, in
    the order of a permutation. Batches can span two epochs. The positive is drawn uniformly from the other images of
    the anchor's class, the negative from all images of other classes. The only image of a class is never an anchor.

    Parameters
    ----------
    labels : ndarray, int64, (N,)
        Class of each image, 0 ... C - 1.
    batch_size : int
        B, number of images; a multiple of 3.
    seed : int
        Equal seeds give equal batches.

    Raises
    ------
    ConfigError
        If the batch size is not a multiple of 3, or below 3.
    DataError
        If there is only one class, or no class has two images.
    """

    def __init__(self, labels: NDArray[np.int64], batch_size: int, seed: int) -> None:
        _check_batch_size(batch_size, 3, "triplets")
        self._classes = _Classes(labels)
        # Positions in `_Classes.rows`
        self._class_of_position = np.repeat(np.arange(len(self._classes)), self._classes.sizes)
        self._anchors: NDArray[np.int64] = np.flatnonzero(self._classes.sizes[self._class_of_position] > 1)
        if len(self._classes) < 2 or not len(self._anchors):
            raise DataError("triplets need at least two classes, and one of them needs two images. Add images.")
        self._num_triplets = batch_size // 3
        self.seed = seed

    def batch(self, iteration: int) -> NDArray[np.int64]:
        """Return the rows of batch ``iteration``: (B,), anchors, then positives, then negatives."""
        anchors = self._anchor_positions(iteration)  # (B/3,), as all below
        classes = self._class_of_position[anchors]
        starts, sizes = self._classes.starts[classes], self._classes.sizes[classes]
        rng = np.random.default_rng([self.seed, iteration, 1])  # 1: a different stream from an epoch's order
        positives = (
            starts + (anchors - starts + rng.integers(1, sizes)) % sizes
        )  # shifted by 1 ... n - 1 within the class
        negatives = _outside(rng.integers(len(self._classes.rows) - sizes), starts, sizes)
        rows: NDArray[np.int64] = self._classes.rows[np.concatenate([anchors, positives, negatives])]
        return rows

    def _anchor_positions(self, iteration: int) -> NDArray[np.int64]:
        """Take the next B/3 anchors from the concatenated permutations of the epochs."""
        start = iteration * self._num_triplets
        first, last = (position // len(self._anchors) for position in (start, start + self._num_triplets - 1))
        epochs = [_epoch_order(self.seed, epoch, len(self._anchors)) for epoch in range(first, last + 1)]
        start -= first * len(self._anchors)
        return np.take(self._anchors, np.concatenate(epochs)[start : start + self._num_triplets])


class ShuffleSampler:
    """Batches that ignore classes: a permutation of all images per epoch, cut into batches.

    A batch never holds an image twice. The remainder that does not fill a batch is left out: different images in
    each epoch.

    Parameters
    ----------
    labels : ndarray, int64, (N,)
        Class of each image; only N is used.
    batch_size : int
        B, number of images; 2 ... N.
    seed : int
        Equal seeds give equal batches.

    Raises
    ------
    ConfigError
        If the batch size is below 2, or larger than the number of images.
    """

    def __init__(self, labels: NDArray[np.int64], batch_size: int, seed: int) -> None:
        if not 2 <= batch_size <= len(labels):
            raise ConfigError(
                f"a batch of {batch_size} images is not possible; expected 2 to {len(labels)}, the number of images. "
                "Change --batch-size."
            )
        self._num_images = len(labels)
        self._batch_size = batch_size
        self.seed = seed

    def batch(self, iteration: int) -> NDArray[np.int64]:
        """Return the rows of batch ``iteration``: (B,)."""
        epoch, position = divmod(iteration, self._num_images // self._batch_size)
        order = _epoch_order(self.seed, epoch, self._num_images)
        return order[position * self._batch_size :][: self._batch_size]


class _Classes:
    """Rows sorted by class: class c has ``rows[starts[c] : starts[c] + sizes[c]]``."""

    def __init__(self, labels: NDArray[np.int64]) -> None:
        self.rows: NDArray[np.int64] = np.argsort(labels, kind="stable")
        self.sizes: NDArray[np.int64] = np.bincount(labels)
        self.starts: NDArray[np.int64] = np.cumsum(self.sizes) - self.sizes

    def __len__(self) -> int:
        return len(self.sizes)

    def positive_pairs(self, label: int) -> NDArray[np.int64]:
        """Pair the images of a class with each other and with themselves: (2, n (n + 1) / 2)."""
        pairs: NDArray[np.int64] = self.rows[self.starts[label] + np.array(np.triu_indices(self.sizes[label]))]
        return pairs

    def negative_pairs(self, label: int, negs_per_image: int, rng: np.random.Generator) -> NDArray[np.int64]:
        """Pair each image of a class with ``negs_per_image`` distinct images of other classes: (2, pairs)."""
        start, size = self.starts[label], self.sizes[label]
        num_outside = len(self.rows) - size
        outside = rng.choice(num_outside, min(negs_per_image * size, num_outside), replace=False)
        left = start + np.arange(len(outside)) % size
        pairs: NDArray[np.int64] = self.rows[np.stack([left, _outside(outside, start, size)])]
        return pairs


def _outside(
    positions: NDArray[np.int64], starts: NDArray[np.int64] | np.int64, sizes: NDArray[np.int64] | np.int64
) -> NDArray[np.int64]:
    """Map positions counted without a class to positions in `_Classes.rows`."""
    return positions + sizes * (positions >= starts)


def _epoch_order(seed: int, epoch: int, length: int) -> NDArray[np.int64]:
    return np.random.default_rng([seed, epoch]).permutation(length)


def _check_batch_size(batch_size: int, multiple: int, groups: str) -> None:
    if batch_size < multiple or batch_size % multiple:
        raise ConfigError(
            f"a batch of {batch_size} images cannot be divided into {groups}. Give a multiple of {multiple} as "
            "--batch-size."
        )
