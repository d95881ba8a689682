"""Waiting work, and what a free thread does next. Its methods are called with the batcher's lock held."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from serve_cli.http.batching.job import Job, QueuedImage


class WorkQueue:
    """Images to decode, and decoded images that wait for a lane.

    Parameters
    ----------
    batch_size : int
        Maximum number of images in a batch.
    lanes : int
        Batches that run side by side.

    Attributes
    ----------
    waiting : int
        Images that have not reached the network, without those of dropped jobs.
    free_lanes : int
        Lanes without a batch.
    """

    def __init__(self, batch_size: int, lanes: int) -> None:
        self._batch_size, self._most_decoded = batch_size, batch_size * (lanes + 1)
        self._encoded: deque[QueuedImage] = deque()
        self._decoded: deque[QueuedImage] = deque()
        self.waiting, self.free_lanes = 0, lanes

    def __bool__(self) -> bool:
        """Whether an image waits to be decoded or embedded."""
        return bool(self._encoded or self._decoded)

    def add(self, images: Iterable[QueuedImage]) -> None:
        """Queue images: with pixels for the network, others to be decoded."""
        for image in images:
            (self._encoded if image.pixels is None else self._decoded).append(image)
            self.waiting += 1

    def add_decoded(self, image: QueuedImage) -> None:
        """Queue an image that a thread has decoded."""
        if not image.job.dropped:
            self._decoded.append(image)

    def forget(self, job: Job) -> None:
        """Stop counting a dropped job's images. Threads skip them."""
        self.waiting -= job.queued
        job.queued = 0

    def leave(self, image: QueuedImage) -> bool:
        """Stop counting an image that reached the network or cannot be decoded. Return False if its job was dropped."""
        if not image.job.queued:
            return False
        image.job.queued -= 1
        self.waiting -= 1
        return True

    def next_batch(self) -> list[QueuedImage]:
        """Take a batch if a lane is free and nothing is left to decode for it.

        An idle lane never waits: it takes what is decoded, even if other threads are decoding.
        """
        if not self.free_lanes or not self._decoded:
            return []
        if len(self._decoded) < self._batch_size and self._has_encoded():
            return []
        batch: list[QueuedImage] = []
        while self._decoded and len(batch) < self._batch_size:
            image = self._decoded.popleft()
            if not image.job.dropped and self.leave(image):
                batch.append(image)
        self.free_lanes -= bool(batch)
        return batch

    def next_encoded(self) -> QueuedImage | None:
        """Take an image to decode, unless the lanes are far behind."""
        if len(self._decoded) < self._most_decoded and self._has_encoded():
            return self._encoded.popleft()
        return None

    def _has_encoded(self) -> bool:
        while self._encoded and self._encoded[0].job.dropped:
            self._encoded.popleft()
        return bool(self._encoded)
