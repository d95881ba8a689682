"""Decode and augment in parallel threads, a batch or two ahead of the network."""

from __future__ import annotations

from collections import deque
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from gluon_lifted.errors import DataError
from gluon_lifted.images import (
    Preprocessing,
    center_crop,
    check_image,
    normalise,
    random_crop_mirror,
    read_image,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from concurrent.futures import Future

    from numpy.typing import NDArray

    from gluon_lifted.datasets.base import ImageTable
    from gluon_lifted.samplers import BalancedSampler

BATCHES_AHEAD = 2
CACHE_BYTES = 1 << 30  # of decoded images kept: a data set that fits is decoded once


class Batch(NamedTuple):
    """``images`` (B, 3, crop, crop) float32, normalised; ``labels`` (B,) int64."""

    images: NDArray[np.float32]
    labels: NDArray[np.int64]


class ImageLoader:
    """Batches of an `ImageTable`. Use as a context manager: it owns threads.

    Parameters
    ----------
    table : ImageTable
        The images.
    preprocessing : Preprocessing
        Sizes and normalisation.
    threads : int
        Images decoded at a time. The result does not depend on it.
    """

    def __init__(self, table: ImageTable, preprocessing: Preprocessing, threads: int) -> None:
        self.table = table
        self.preprocessing = preprocessing
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="decode")
        self._cache: dict[int, NDArray[np.uint8]] = {}
        self._cached_rows = CACHE_BYTES // (3 * preprocessing.resize**2)

    def __enter__(self) -> ImageLoader:
        return self

    def __exit__(self, *_: object) -> None:
        self._pool.shutdown(cancel_futures=True)

    def check_readable(self) -> None:
        """Open every file, without decoding it. Raises `DataError` naming the first that is no image."""
        problems = [problem for problem in self._pool.map(check_image, self.table.paths) if problem]
        if problems:
            raise DataError(f"{problems[0]} Remove or replace it ({len(problems)} of {len(self.table)} images).")

    def training_batches(self, sampler: BalancedSampler, start: int, stop: int) -> Iterator[Batch]:
        """Batches ``start`` ... ``stop - 1``, cropped at random and mirrored by chance."""

        def augmented(row: int, iteration: int, slot: int) -> NDArray[np.uint8]:
            rng = np.random.default_rng([sampler.seed, iteration, slot])
            return random_crop_mirror(self._square(row), self.preprocessing.crop, rng)

        def submit(iteration: int) -> tuple[NDArray[np.int64], list[Future[NDArray[np.uint8]]]]:
            rows = sampler.batch(iteration)
            return rows, [self._pool.submit(augmented, row, iteration, slot) for slot, row in enumerate(rows.tolist())]

        return self._prefetched(submit, range(start, stop))

    def test_batches(self, batch_size: int) -> Iterator[Batch]:
        """Every image once, in order, cropped at the centre; the last batch may be short."""

        def centred(row: int) -> NDArray[np.uint8]:
            return center_crop(self._square(row), self.preprocessing.crop)

        def submit(first: int) -> tuple[NDArray[np.int64], list[Future[NDArray[np.uint8]]]]:
            rows = np.arange(first, min(first + batch_size, len(self.table)))
            return rows, [self._pool.submit(centred, row) for row in rows.tolist()]

        return self._prefetched(submit, range(0, len(self.table), batch_size))

    def _prefetched(
        self,
        submit: Callable[[int], tuple[NDArray[np.int64], list[Future[NDArray[np.uint8]]]]],
        keys: Iterable[int],
    ) -> Iterator[Batch]:
        pending: deque[tuple[NDArray[np.int64], list[Future[NDArray[np.uint8]]]]] = deque()
        for key in keys:
            pending.append(submit(key))
            if len(pending) > BATCHES_AHEAD:
                yield self._collect(*pending.popleft())
        while pending:
            yield self._collect(*pending.popleft())

    def _collect(self, rows: NDArray[np.int64], crops: list[Future[NDArray[np.uint8]]]) -> Batch:
        pixels = np.stack([crop.result() for crop in crops])  # (B, crop, crop, 3) uint8
        return Batch(normalise(pixels, self.preprocessing), self.table.labels[rows])

    def _square(self, row: int) -> NDArray[np.uint8]:
        """The image before cropping: (resize, resize, 3), from memory if it was decoded before."""
        square = self._cache.get(row)
        if square is None:
            square = read_image(self.table.paths[row], self.preprocessing.resize)
            if len(self._cache) < self._cached_rows:
                self._cache[row] = square
        return square
