"""Decode and augment images in threads, a few batches ahead of the network."""

from __future__ import annotations

from collections import deque
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from gluon_lifted.batches.image_cache import ImageCache
from gluon_lifted.errors import DataError
from gluon_lifted.images import (
    Preprocessing,
    center_crop,
    check_image,
    normalize,
    read_image,
)
from gluon_lifted.images.augmentations import AUGMENTATIONS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from concurrent.futures import Future

    from numpy.typing import NDArray

    from gluon_lifted.batches.samplers import Sampler
    from gluon_lifted.datasets.image_table import ImageTable

Square = Any  # NDArray of (side, side, 3): pixels or, as float32, what to subtract from them
BATCHES_AHEAD = 2


class Batch(NamedTuple):
    """``images`` (b, 3, crop, crop) float32, normalized; ``labels`` (B,) int64 of the whole batch.

    With several hosts, ``images`` holds only this host's share: rows ``start`` ... ``start + b - 1`` of B.
    """

    images: NDArray[np.float32]
    labels: NDArray[np.int64]
    start: int = 0


class _Pending(NamedTuple):
    """A batch that is being filled by threads."""

    batch: Batch
    filled: list[Future[None]]

    def wait(self) -> Batch:
        for future in self.filled:
            future.result()
        return self.batch


class ImageLoader:
    """Iterate over batches of an `ImageTable`. Use as a context manager: it owns threads.

    Parameters
    ----------
    table : ImageTable
        Images and labels, N rows.
    preprocessing : Preprocessing
        Sizes and normalization.
    threads : int
        Images decoded at a time. Does not affect the result.
    residual : ndarray, float32, (resize, resize, 3), optional
        Subtracted from each pixel, except for what the network subtracts: the residual's center crop
        (`gluon_lifted.networks.mean_image`). Only with the augmentation ``"paper"``.
    augment : str
        A key of `AUGMENTATIONS`, for `training_batches`.
    """

    def __init__(
        self,
        table: ImageTable,
        preprocessing: Preprocessing,
        threads: int,
        residual: NDArray[np.float32] | None = None,
        augment: str = "paper",
    ) -> None:
        self.table = table
        self._residual = residual
        self._augment = AUGMENTATIONS[augment]
        self.preprocessing = preprocessing
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="decode")
        self._cache = ImageCache()

    def __enter__(self) -> ImageLoader:
        return self

    def __exit__(self, *_: object) -> None:
        self._pool.shutdown(cancel_futures=True)

    def check_readable(self) -> None:
        """Open every file without decoding it. Raises `DataError` that names the first bad file or bounding box."""
        boxes = map(self.table.box, range(len(self.table)))
        problems = [problem for problem in self._pool.map(check_image, self.table.paths, boxes) if problem]
        if problems:
            raise DataError(
                f"{problems[0]} Remove or replace it. {len(problems)} of {len(self.table)} images have such a problem."
            )

    def training_batches(
        self, sampler: Sampler, start: int, stop: int, host: int = 0, hosts: int = 1
    ) -> Iterator[Batch]:
        """Iterate over one host's share of batches ``start`` ... ``stop - 1``, augmented."""

        def submit(iteration: int) -> _Pending:
            rows = sampler.batch(iteration)

            def cut(square: Square, slot: int) -> Square:
                rng = np.random.default_rng([sampler.seed, iteration, slot])
                return self._augment(square, self.preprocessing.crop, rng)

            return self._submit(rows, np.array_split(np.arange(len(rows)), hosts)[host], cut)

        return self._prefetched(submit, range(start, stop))

    def test_batches(self, batch_size: int, rows: NDArray[np.int64] | None = None) -> Iterator[Batch]:
        """Iterate over images once, center-cropped: all in order, or ``rows``. The last batch can be smaller."""
        chosen = np.arange(len(self.table)) if rows is None else rows

        def submit(first: int) -> _Pending:
            part = chosen[first : first + batch_size]
            return self._submit(
                part, np.arange(len(part)), lambda square, _: center_crop(square, self.preprocessing.crop)
            )

        return self._prefetched(submit, range(0, len(chosen), batch_size))

    def _submit(
        self, rows: NDArray[np.int64], slots: NDArray[np.intp], cut: Callable[[Square, int], Square]
    ) -> _Pending:
        """Fill the ``slots`` of the batch ``rows`` in threads, from decoding to normalizing.

        ``cut`` crops a square for a slot, and must return the same part in repeated calls.
        """
        crop = self.preprocessing.crop
        images: NDArray[np.float32] = np.empty((len(slots), 3, crop, crop), np.float32)

        def fill(position: int, slot: int) -> None:
            images[position] = normalize(cut(self._square(int(rows[slot])), slot)[None], self.preprocessing)[0]
            if self._residual is not None:
                own_crop = cut(self._residual, slot)  # (crop, crop, 3)
                images[position] += (center_crop(self._residual, crop) - own_crop).transpose(2, 0, 1)

        filled = [self._pool.submit(fill, position, slot) for position, slot in enumerate(slots.tolist())]
        return _Pending(Batch(images, self.table.labels[rows], int(slots[0])), filled)

    def _prefetched(self, submit: Callable[[int], _Pending], keys: Iterable[int]) -> Iterator[Batch]:
        pending: deque[_Pending] = deque()
        for key in keys:
            pending.append(submit(key))
            if len(pending) > BATCHES_AHEAD:
                yield pending.popleft().wait()
        while pending:
            yield pending.popleft().wait()

    def _square(self, row: int) -> NDArray[np.uint8]:
        """Return an image before cropping, (resize, resize, 3), from the cache if possible."""
        square = self._cache.get(row)
        if square is None:
            square = read_image(self.table.paths[row], self.preprocessing, self.table.box(row))
            self._cache.add(row, square)
        return square
