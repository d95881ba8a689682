"""A request's images on their way through the batcher."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import asyncio

    import numpy as np
    from numpy.typing import NDArray


@dataclass(frozen=True)
class StageMs:
    """Milliseconds that an image spent in each stage. ``wait`` is all the time waiting for a thread or a lane."""

    decode: float = 0.0
    wait: float = 0.0
    network: float = 0.0


@dataclass(frozen=True, eq=False)
class Embedded:
    """The result of one image.

    Parameters
    ----------
    embedding : ndarray, float32, (D,), or None
        None if there is an error.
    error : str or None
        Why the image has no embedding.
    times : StageMs
        Time of each stage.
    """

    embedding: NDArray[np.float32] | None
    error: str | None
    times: StageMs


class Job:
    """The images of a request. Only the event loop changes it, except for ``queued``.

    Attributes
    ----------
    done : Future
        The results, in the order of the images.
    dropped : bool
        Nobody waits for the results any more. Threads skip its images.
    queued : int
        Images that have not reached the network. Guarded by the batcher's lock.
    """

    __slots__ = ("_num_images", "_results", "done", "dropped", "queued")

    def __init__(self, num_images: int, done: asyncio.Future[list[Embedded]]) -> None:
        self.done, self.dropped, self.queued = done, False, num_images
        self._num_images = num_images
        self._results: dict[int, Embedded] = {}

    def set_result(self, position: int, result: Embedded | Exception) -> None:
        """Store the result of an image. An exception fails the whole job."""
        if self.done.done():
            return
        if isinstance(result, Exception):
            self.dropped = True
            self.done.set_exception(result)
            return
        self._results[position] = result
        if len(self._results) == self._num_images:
            self.done.set_result([self._results[position] for position in range(self._num_images)])


class QueuedImage:
    """An image of a job: its file until it is decoded, then its pixels.

    Attributes
    ----------
    pixels : ndarray, uint8, (crop, crop, 3), or None
        None until it is decoded.
    queued_s, decode_s : float
        When it was queued, by `time.perf_counter`, and how long decoding took.
    """

    __slots__ = ("content", "decode_s", "job", "pixels", "position", "queued_s")

    def __init__(self, job: Job, position: int, queued_s: float) -> None:
        self.job, self.position, self.queued_s, self.decode_s = job, position, queued_s, 0.0
        self.content: bytes | None = None
        self.pixels: NDArray[np.uint8] | None = None
