"""Image rows -> decoded in threads -> embedded by onnxruntime -> the same rows, in the same order.

The stages overlap: while the network works on one batch, threads decode the next ones. Every batch that the
network sees has the same shape, the last one filled up with black images, so that a row's embedding does not
depend on how many rows there are.
"""

from __future__ import annotations

import math
import time
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING

import numpy as np

from gluon_lifted.errors import ImageError
from gluon_lifted.images import center_crop, read_image
from serve_cli.runtime.rows import EmbeddedRows, ImageRow
from serve_cli.runtime.sources import as_text

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable, Iterator
    from concurrent.futures import Future

    from numpy.typing import NDArray

    from gluon_lifted.images import Preprocessing
    from serve_cli.console import Progress
    from serve_cli.runtime.session import Embedder

BATCHES_AHEAD = 2  # decoded or being decoded while the network works on another one
NOT_FINITE = "the network's output for this image is not finite."


@dataclass
class StageTimes:
    """Seconds of a run. Waiting, network and writing follow each other; decoding goes on beside them in threads.

    Parameters
    ----------
    decode_s : float
        Sum over all threads.
    wait_s : float
        The network stood still because images were not decoded yet.
    network_s : float
        The caller waited for preprocessing and onnxruntime.
    write_s : float
        What the caller did with the rows.
    """

    decode_s: float = 0.0
    wait_s: float = 0.0
    network_s: float = 0.0
    write_s: float = 0.0


class _Stopwatch:
    def __init__(self) -> None:
        self._began = time.perf_counter()

    def lap(self) -> float:
        """Seconds since the last lap."""
        began, self._began = self._began, time.perf_counter()
        return self._began - began


@dataclass(frozen=True, eq=False)
class _Decoded:
    """Up to ``batch_size`` rows, and always ``batch_size`` images: black where there is no row or no image."""

    rows: list[ImageRow]
    pixels: NDArray[np.uint8]  # (batch_size, crop, crop, 3)
    errors: list[str | None]


def embed_rows(
    embedder: Embedder, rows: Iterable[ImageRow], batch_size: int, threads: int, times: StageTimes | None = None
) -> Iterator[EmbeddedRows]:
    """Embed rows batch by batch, in order, none left out.

    Parameters
    ----------
    embedder : Embedder
    rows : iterable of ImageRow
        Taken as they are needed; a bounded number of batches is in memory at any time.
    batch_size : int
        Images that go through the network together.
    threads : int
        Threads that read and decode.
    times : StageTimes, optional
        Added to while the run goes on.

    Yields
    ------
    EmbeddedRows
        Up to ``batch_size`` rows. A row whose image cannot be read, or whose embedding is not finite, has an error.
    """
    times = times or StageTimes()
    watch = _Stopwatch()
    started: deque[_Started] = deque()

    def finish() -> Iterator[EmbeddedRows]:
        embedded = started.popleft().finish(embedder.card.dim)
        times.network_s += watch.lap()
        yield embedded
        times.write_s += watch.lap()

    with closing(_decode(rows, embedder.card.preprocessing, batch_size, threads, times)) as batches:
        for batch in batches:
            times.wait_s += watch.lap()
            started.append(_Started(embedder, batch))
            if len(started) == embedder.lanes:
                yield from finish()
        while started:
            yield from finish()


def collect(batches: Iterable[EmbeddedRows], dim: int) -> EmbeddedRows:
    """All rows of a run in memory; ``dim`` is D of their embeddings."""
    rows: list[ImageRow] = []
    errors: list[str | None] = []
    embeddings = [np.empty((0, dim), np.float32)]
    for batch in batches:
        rows += batch.rows
        errors += batch.errors
        embeddings.append(batch.embedding)
    return EmbeddedRows(rows, np.concatenate(embeddings), errors)


@dataclass
class Tally:
    """Rows that have come by, and those of them that failed."""

    rows: int = 0
    failed: int = 0


def reported(batches: Iterable[EmbeddedRows], progress: Progress, tally: Tally | None = None) -> Iterator[EmbeddedRows]:
    """Pass the batches on, count them in, and show how many rows have come by and how many of them failed."""
    tally = tally or Tally()
    for batch in batches:
        yield batch
        tally.rows += len(batch.rows)
        tally.failed += sum(error is not None for error in batch.errors)
        progress.update(tally.rows, f"{tally.failed} failed" if tally.failed else "")


class _Started:
    """A batch that goes through the network."""

    def __init__(self, embedder: Embedder, batch: _Decoded) -> None:
        self._batch = batch
        some_good = None in batch.errors
        self._embedding = embedder.start(batch.pixels) if some_good else None

    def finish(self, dim: int) -> EmbeddedRows:
        """Wait for its embeddings, (num_rows, dim)."""
        num_rows, errors = len(self._batch.rows), list(self._batch.errors)
        embedding = np.full((num_rows, dim), np.nan, np.float32)
        if self._embedding is not None:
            embedding[:] = self._embedding.result()[:num_rows]
        finite = np.isfinite(embedding).all(axis=1)  # (num_rows,)
        for row, error in enumerate(self._batch.errors):
            if error is not None:
                embedding[row] = np.nan
            elif not finite[row]:
                embedding[row], errors[row] = np.nan, NOT_FINITE
        return EmbeddedRows(self._batch.rows, embedding, errors)


def _decode(
    rows: Iterable[ImageRow], preprocessing: Preprocessing, batch_size: int, threads: int, times: StageTimes
) -> Generator[_Decoded, None, None]:
    rows = iter(rows)
    ahead = max(BATCHES_AHEAD, math.ceil(2 * threads / batch_size))  # small batches must not starve the threads
    pending: deque[_Pending] = deque()
    pool = ThreadPoolExecutor(threads, thread_name_prefix="decode")
    try:
        while chunk := list(islice(rows, batch_size)):
            pending.append(_Pending(pool, chunk, preprocessing, batch_size))
            if len(pending) > ahead:
                yield pending.popleft().finish(times)
        while pending:
            yield pending.popleft().finish(times)
    finally:
        pool.shutdown(cancel_futures=True)


class _Pending:
    """A batch whose images are being decoded."""

    def __init__(
        self, pool: ThreadPoolExecutor, rows: list[ImageRow], preprocessing: Preprocessing, batch_size: int
    ) -> None:
        self._rows, self._preprocessing = rows, preprocessing
        self._pixels = np.zeros((batch_size, preprocessing.crop, preprocessing.crop, 3), np.uint8)
        self._reads: list[Future[tuple[str | None, float]]] = [
            pool.submit(self._read, slot) for slot in range(len(rows))
        ]

    def finish(self, times: StageTimes) -> _Decoded:
        """Wait for all images."""
        outcomes = [read.result() for read in self._reads]
        times.decode_s += sum(seconds for _, seconds in outcomes)
        return _Decoded(self._rows, self._pixels, [error for error, _ in outcomes])

    def _read(self, slot: int) -> tuple[str | None, float]:
        """Decode one image into its place. Returns what was wrong with it, and the seconds it took."""
        watch = _Stopwatch()
        try:
            row = self._rows[slot]
            source = row.path if row.content is None else row.content()
            square = read_image(source, self._preprocessing, row.box, row.id)
        except ImageError as error:
            return as_text(str(error)), watch.lap()
        self._pixels[slot] = center_crop(square, self._preprocessing.crop)
        return None, watch.lap()
