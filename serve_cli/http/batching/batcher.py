"""Batcher: decode the images of concurrent requests in threads, and embed the waiting ones in batches.

The threads share one queue. A free thread runs the network if a lane is free and nothing is left to decode for its
batch. Otherwise it decodes. So an idle server embeds an image at once, in one thread, and a busy one fills its batches.
"""

from __future__ import annotations

import asyncio
import math
import threading
import time
from typing import TYPE_CHECKING

import numpy as np

from gluon_lifted.errors import ConfigError, ImageError, LiftedError
from gluon_lifted.images import DecodeLimits, center_crop, read_image
from serve_cli.http.batching.errors import DeadlineError, QueueFullError
from serve_cli.http.batching.job import Embedded, Job, QueuedImage, StageMs
from serve_cli.http.batching.work_queue import WorkQueue
from serve_cli.http.service_observer import Unobserved
from serve_cli.model.pixels import check_pixels

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from serve_cli.http.service_observer import ServiceObserver
    from serve_cli.model.embedder import Embedder

MS = 1000.0
IMAGE = "image"  # its name in errors
NOT_FINITE = f"{IMAGE}: the network's output is not finite."
RATE_MEMORY = 0.1  # weight of the last batch in the running mean of the rate

Result = tuple[Job, int, "Embedded | Exception"]


class Batcher:
    """Embeds the images of any number of requests of one event loop.

    Parameters
    ----------
    embedder : Embedder
        Stays open. Its batch size is the largest batch.
    limits : DecodeLimits
        Limits of all images that are decoded at the same time.
    max_waiting : int
        Images that may wait for the network.
    observer : ServiceObserver
        Notified of each batch.
    """

    def __init__(
        self,
        embedder: Embedder,
        limits: DecodeLimits,
        max_waiting: int,
        observer: ServiceObserver = Unobserved(),
    ) -> None:
        self._embedder, self._limits, self._max_waiting, self._observer = embedder, limits, max_waiting, observer
        self._preprocessing = embedder.card.preprocessing
        self._queue = WorkQueue(embedder.batch_size, embedder.lanes)
        self._changed = threading.Condition(threading.Lock())
        self._idle, self._closed, self._seconds_per_image = 0, False, 0.0
        self._loop: asyncio.AbstractEventLoop | None = None
        self._threads = [
            threading.Thread(target=self._work, name=f"batcher-{number}", daemon=True)
            for number in range(max(embedder.threads, embedder.lanes))
        ]
        for thread in self._threads:
            thread.start()

    @property
    def waiting(self) -> int:
        """Images that have not reached the network."""
        return self._queue.waiting

    async def embed(self, images: Sequence[bytes], deadline: float) -> list[Embedded]:
        """Embed image files. All of them are admitted, or none.

        If the awaiting task is cancelled, images that have not reached the network are dropped.

        Parameters
        ----------
        images : sequence of bytes
            Contents of image files.
        deadline : float
            Time of the event loop by which the results are needed.

        Returns
        -------
        list of Embedded
            In the order of the images. One that cannot be read has an error.

        Raises
        ------
        QueueFullError
            If too many images are already waiting.
        DeadlineError
            If the results are not there in time.
        DeviceError, RunError
            If the network fails; see `Embedder.embed`.
        """
        job = self._job(len(images))
        queued = [QueuedImage(job, position, time.perf_counter()) for position in range(len(images))]
        for image, content in zip(queued, images, strict=True):
            image.content = content
        return await self._results(job, queued, deadline)

    async def embed_pixels(self, pixels: NDArray[np.uint8], deadline: float) -> NDArray[np.float32]:
        """Embed cropped images, as `Embedder.embed` does. Limits and errors are those of `embed`.

        Raises
        ------
        ConfigError
            If the pixels have another shape or type.
        ImageError
            If the network's output for an image is not finite.
        """
        check_pixels(pixels, self._preprocessing.crop)
        job = self._job(len(pixels))
        queued = [QueuedImage(job, position, time.perf_counter()) for position in range(len(pixels))]
        for image, square in zip(queued, pixels, strict=True):
            image.pixels = square
        results = await self._results(job, queued, deadline)
        for position, result in enumerate(results):
            if result.error is not None:
                raise ImageError(f"pixels[{position}]: {result.error.removeprefix(f'{IMAGE}: ')}")
        rows = [result.embedding for result in results if result.embedding is not None]
        return np.stack(rows) if rows else np.empty((0, self._embedder.card.dim), np.float32)

    def require_room(self, num_images: int) -> None:
        """Raise `QueueFullError` if so many images cannot be admitted now."""
        waiting = self._queue.waiting
        if waiting + num_images > self._max_waiting:
            seconds = max(1, math.ceil(waiting * self._seconds_per_image / self._embedder.lanes))
            raise QueueFullError(
                f"the queue has {waiting} of at most {self._max_waiting} images and no room for {num_images} more; "
                f"try again in {seconds} s.",
                seconds,
            )

    def close(self) -> None:
        """Finish the admitted images, then end the threads. The batcher accepts no more images."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        for thread in self._threads:
            thread.join()

    def _job(self, num_images: int) -> Job:
        self._loop = asyncio.get_running_loop()
        return Job(num_images, self._loop.create_future())

    async def _results(self, job: Job, images: list[QueuedImage], deadline: float) -> list[Embedded]:
        if not images:
            return []
        self._admit(images)
        loop = asyncio.get_running_loop()
        alarm = loop.call_at(
            deadline, job.set_result, 0, DeadlineError("the answer was not ready in time; try again later.")
        )
        try:
            return await job.done
        finally:
            alarm.cancel()
            if job.queued:  # it failed, or its client left
                self._drop(job, images)

    def _admit(self, images: list[QueuedImage]) -> None:
        with self._changed:
            if self._closed:
                raise ConfigError("the service is closed.")
            self.require_room(len(images))
            self._queue.add(images)
            if self._idle:
                self._changed.notify(len(images))
        self._observer.images_admitted(len(images))

    def _drop(self, job: Job, images: list[QueuedImage]) -> None:
        job.dropped = True
        with self._changed:
            count = job.queued
            self._queue.forget(job)
        for image in images:
            image.content = None  # a thread may come to it much later
        self._observer.images_dropped(count)

    def _work(self) -> None:
        """Work until the batcher is closed and nothing is left."""
        decoded: QueuedImage | None = None
        while True:
            batch: list[QueuedImage] = []
            encoded: QueuedImage | None = None
            with self._changed:
                if decoded is not None:
                    self._queue.add_decoded(decoded)
                while not (batch := self._queue.next_batch()) and (encoded := self._queue.next_encoded()) is None:
                    if self._closed:
                        return
                    self._idle += 1
                    self._changed.wait()
                    self._idle -= 1
                if batch:
                    self._wake_for_rest()  # there is room to decode again
            decoded = self._decode(encoded) if encoded is not None else None
            if batch:
                self._run(batch)

    def _wake_for_rest(self) -> None:
        """Wake a thread if work is left. One that wakes for nothing takes the interpreter from others."""
        if self._idle and self._queue:
            self._changed.notify()

    def _decode(self, image: QueuedImage) -> QueuedImage | None:
        """Decode an image. Return None if that fails."""
        began = time.perf_counter()
        content, image.content = image.content, None
        try:
            if content is None:  # dropped meanwhile
                return None
            square = read_image(content, self._preprocessing, None, IMAGE, self._limits)
            image.pixels = center_crop(square, self._preprocessing.crop)
        except Exception as error:  # a bug fails this request alone; the thread must keep running
            self._deliver([self._failure(image, began, error)])
            return None
        image.decode_s = time.perf_counter() - began
        return image

    def _failure(self, image: QueuedImage, began: float, error: Exception) -> Result:
        with self._changed:
            was_queued = self._queue.leave(image)
        if was_queued:
            self._observer.image_failed()
        times = StageMs(MS * (time.perf_counter() - began), MS * (began - image.queued_s))
        is_images_fault = isinstance(error, ImageError)
        return image.job, image.position, Embedded(None, str(error), times) if is_images_fault else error

    def _run(self, batch: list[QueuedImage]) -> None:
        """Run the network on a batch and hand the results to the event loop."""
        began = time.perf_counter()
        results: list[Result] = []
        try:
            rows = self._embed(batch)
        finally:
            with self._changed:
                self._queue.free_lanes += 1
                self._wake_for_rest()
        network_s = time.perf_counter() - began
        times = []
        for image, row in zip(batch, rows, strict=True):
            waited = began - image.queued_s - image.decode_s
            times.append(StageMs(MS * image.decode_s, MS * waited, MS * network_s))
            result: Embedded | Exception
            if isinstance(row, Exception):
                result = row
            elif np.isfinite(row).all():
                result = Embedded(row, None, times[-1])
            else:
                result = Embedded(None, NOT_FINITE, times[-1])
            results.append((image.job, image.position, result))
        self._seconds_per_image += RATE_MEMORY * (network_s / len(batch) - self._seconds_per_image)
        failed = sum(isinstance(result, Exception) or result.error is not None for _, _, result in results)
        self._observer.batch_done(times, failed)
        self._deliver(results)

    def _embed(self, batch: list[QueuedImage]) -> Sequence[NDArray[np.float32] | Exception]:
        """Embed a batch. If that fails, embed each image alone, so that one bad image fails alone."""
        try:
            pixels = np.stack([image.pixels for image in batch if image.pixels is not None])
            return list(self._embedder.embed(pixels))
        except Exception as error:  # a bug fails this batch alone; the thread must keep running
            if len(batch) == 1 or not isinstance(error, LiftedError):
                return [error] * len(batch)
            return [row for image in batch for row in self._embed([image])]

    def _deliver(self, results: list[Result]) -> None:
        """Hand results to the event loop, with a single wake-up."""
        assert self._loop is not None
        try:
            self._loop.call_soon_threadsafe(_set_results, results)
        except RuntimeError:  # the loop is closed, so nobody waits
            return


def _set_results(results: list[Result]) -> None:
    for job, position, result in results:
        job.set_result(position, result)
