"""Image rows -> batches of pixels, read and decoded in threads, in order."""

from __future__ import annotations

import hashlib
import math
from collections import deque
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from gluon_lifted.errors import ImageError
from gluon_lifted.images import DecodeLimits, center_crop, read_image
from serve_cli.embed.stage_times import Stopwatch
from serve_cli.sources.image_bytes import read_image_bytes
from serve_cli.sources.image_row import MAX_IMAGE_BYTES, HeldImage
from serve_cli.sources.network.retry import IMAGE_TIMEOUT_S, time_limit
from serve_cli.sources.source import as_text

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable
    from concurrent.futures import Future

    from numpy.typing import NDArray

    from gluon_lifted.images import Preprocessing
    from serve_cli.embed.stage_times import StageTimes
    from serve_cli.sources.image_row import ImageRow

BATCHES_AHEAD = 2  # decoded, or being decoded, while the network runs
CHECKSUMS = (pa.field("sha256", pa.string()), pa.field("size", pa.int64()))


@dataclass(frozen=True)
class Decoding:
    """How images are decoded.

    Parameters
    ----------
    threads : int
        Threads that read and decode.
    limits : DecodeLimits
        Limits for all threads together.
    max_file_bytes : int
        Maximum size of an image's file. Each thread holds one file. Images that came with their rows share the limit of
        all threads.
    checksums : bool
        Add the columns ``sha256``, in hexadecimal, and ``size``, in bytes, of an image's file.
    image_timeout : float
        Seconds for an image that is read over a network.
    """

    threads: int
    limits: DecodeLimits = field(default_factory=DecodeLimits)
    max_file_bytes: int = MAX_IMAGE_BYTES
    checksums: bool = False
    image_timeout: float = IMAGE_TIMEOUT_S

    @property
    def max_held_bytes(self) -> int:
        """Maximum size of all images that came with their rows and are not decoded yet."""
        return self.threads * self.max_file_bytes

    def batches_ahead(self, batch_size: int) -> int:
        """Return how many batches to decode ahead of the network, enough to keep all threads busy."""
        return max(BATCHES_AHEAD, math.ceil(2 * self.threads / batch_size))


@dataclass(frozen=True, eq=False)
class DecodedBatch:
    """Up to ``batch_size`` rows and exactly ``batch_size`` images, black where a row or image is missing."""

    rows: list[ImageRow]
    pixels: NDArray[np.uint8]  # (batch_size, crop, crop, 3)
    errors: list[str | None]


def decode_rows(
    rows: Iterable[ImageRow], preprocessing: Preprocessing, batch_size: int, decoding: Decoding, times: StageTimes
) -> Generator[DecodedBatch, None, None]:
    """Read and decode rows batch by batch, in order, with a bounded number of batches in memory."""
    rows = iter(rows)
    pending: deque[_Pending] = deque()
    pool = ThreadPoolExecutor(decoding.threads, thread_name_prefix="decode")
    try:
        held = _Held(decoding.max_held_bytes)
        while True:
            pixels = np.zeros((batch_size, preprocessing.crop, preprocessing.crop, 3), np.uint8)
            reads = []
            for slot, row in enumerate(islice(rows, batch_size)):
                held.make_room(row)
                reads.append(pool.submit(_take_into, pixels[slot], row, preprocessing, decoding))
                held.add(row, reads[-1])
            if not reads:
                break
            pending.append(_Pending(pixels, reads))
            if len(pending) > decoding.batches_ahead(batch_size):
                yield pending.popleft().finish(times)
        while pending:
            yield pending.popleft().finish(times)
    finally:
        pool.shutdown(cancel_futures=True)


def read_content(row: ImageRow, decoding: Decoding) -> bytes:
    """Read an image's file within the limits of ``decoding``. Raises `ImageError` if that fails."""
    limit = decoding.max_held_bytes if isinstance(row.content, HeldImage) else decoding.max_file_bytes
    with time_limit(decoding.image_timeout):
        return row.content(limit=limit) if row.content is not None else read_image_bytes(row.path, limit=limit)


@dataclass(frozen=True)
class _Outcome:
    """The result of one row: its error, if any, and the seconds spent."""

    row: ImageRow
    error: str | None
    read_s: float
    decode_s: float


@dataclass(frozen=True, eq=False)
class _Pending:
    """A batch whose images are being decoded."""

    pixels: NDArray[np.uint8]
    reads: list[Future[_Outcome]]

    def finish(self, times: StageTimes) -> DecodedBatch:
        """Wait for all images of the batch."""
        outcomes = [read.result() for read in self.reads]
        times.read_s += sum(outcome.read_s for outcome in outcomes)
        times.decode_s += sum(outcome.decode_s for outcome in outcomes)
        rows, errors = [outcome.row for outcome in outcomes], [outcome.error for outcome in outcomes]
        return DecodedBatch(rows, self.pixels, errors)


class _Held:
    """Images that came with their rows and are not decoded yet: at most ``most`` bytes, or a single image."""

    def __init__(self, most: int) -> None:
        self._most, self._bytes = most, 0
        self._decoding: deque[tuple[int, Future[_Outcome]]] = deque()

    def make_room(self, row: ImageRow) -> None:
        """Wait for earlier images to be decoded until the image of ``row`` fits."""
        while self._decoding and self._bytes + _held_bytes(row) > self._most:
            size, future = self._decoding.popleft()
            wait([future])
            self._bytes -= size

    def add(self, row: ImageRow, decoding: Future[_Outcome]) -> None:
        """Count the image of ``row`` until it is decoded."""
        if size := _held_bytes(row):
            self._bytes += size
            self._decoding.append((size, decoding))


def _held_bytes(row: ImageRow) -> int:
    return row.content.size if isinstance(row.content, HeldImage) else 0


def _take_into(pixels: NDArray[np.uint8], row: ImageRow, preprocessing: Preprocessing, decoding: Decoding) -> _Outcome:
    """Call `_read_into`, then drop the bytes of an image that came with its row, since rows wait to be written."""
    outcome = _read_into(pixels, row, preprocessing, decoding)
    if not isinstance(row.content, HeldImage):
        return outcome
    return replace(outcome, row=replace(outcome.row, content=row.content.emptied()))


def _read_into(pixels: NDArray[np.uint8], row: ImageRow, preprocessing: Preprocessing, decoding: Decoding) -> _Outcome:
    """Read and decode one image into ``pixels``, (crop, crop, 3)."""
    watch, read_s = Stopwatch(), 0.0
    if decoding.checksums:
        row = replace(row, extra={**row.extra, "sha256": None, "size": None})
    try:
        content = read_content(row, decoding)
        if decoding.checksums:
            row.extra.update(sha256=hashlib.sha256(content).hexdigest(), size=len(content))
        read_s = watch.lap()
        name = row.id if row.content is not None else as_text(row.path)
        square = read_image(content, preprocessing, row.box, name, decoding.limits)
    except ImageError as error:
        return _Outcome(row, as_text(str(error)), read_s, watch.lap())
    pixels[:] = center_crop(square, preprocessing.crop)
    return _Outcome(row, None, read_s, watch.lap())
