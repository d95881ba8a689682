"""Decode image rows in threads and embed them with onnxruntime, in order.

The stages overlap: while the network runs on one batch, threads decode the next ones. All batches have the same shape;
the last one is padded with black images, so that a row's embedding does not depend on the number of rows.
"""

from __future__ import annotations

from collections import deque
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from serve_cli.embed.decoding import decode_rows
from serve_cli.embed.stage_times import StageTimes, Stopwatch
from serve_cli.sources.image_row import EmbeddedRows, ImageRow

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from gluon_lifted.progress import Progress
    from serve_cli.embed.decoding import DecodedBatch, Decoding
    from serve_cli.model.embedder import Embedder

NOT_FINITE = "the network's output for this image is not finite."


def embed_rows(
    embedder: Embedder,
    rows: Iterable[ImageRow],
    batch_size: int,
    decoding: Decoding,
    times: StageTimes | None = None,
) -> Iterator[EmbeddedRows]:
    """Embed rows batch by batch, in order. Failed rows are kept.

    Parameters
    ----------
    embedder : Embedder
        Stays open.
    rows : iterable of ImageRow
        Consumed lazily. A bounded number of batches is in memory at any time.
    batch_size : int
        Images per batch.
    decoding : Decoding
        Threads and limits.
    times : StageTimes, optional
        Updated during the run.

    Yields
    ------
    EmbeddedRows
        Up to ``batch_size`` rows. A row whose image cannot be read, or whose embedding is not finite, has an error.
    """
    times = times or StageTimes()
    watch = Stopwatch()
    started: deque[_Started] = deque()

    def finish() -> Iterator[EmbeddedRows]:
        embedded = started.popleft().finish(embedder.card.dim)
        times.network_s += watch.lap()
        yield embedded
        times.write_s += watch.lap()

    with closing(decode_rows(rows, embedder.card.preprocessing, batch_size, decoding, times)) as batches:
        for batch in batches:
            times.wait_s += watch.lap()
            started.append(_Started(embedder, batch))
            if len(started) > embedder.lanes:  # an extra batch waits, so that no lane is idle
                yield from finish()
        while started:
            yield from finish()


def collect(batches: Iterable[EmbeddedRows], dim: int) -> EmbeddedRows:
    """Collect batches in memory. ``dim`` is the width D of their embeddings."""
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
    """Number of finished rows, and how many of them failed."""

    rows: int = 0
    failed: int = 0


def reported(
    batches: Iterable[EmbeddedRows], progress: Progress, times: StageTimes, tally: Tally | None = None
) -> Iterator[EmbeddedRows]:
    """Yield the batches and report finished rows, failures and the stages' shares of the time."""
    tally = tally or Tally()
    for batch in batches:
        yield batch
        tally.rows += len(batch.rows)
        tally.failed += sum(error is not None for error in batch.errors)
        progress.update(tally.rows, status_text(tally.failed, times))


def status_text(failed: int, times: StageTimes) -> str:
    """Format failures and the stages' shares of the time."""
    return "  ".join(text for text in (f"{failed:,} failed" if failed else "", times.text()) if text)


class _Started:
    """A batch that was handed to the network, unless all its images failed."""

    def __init__(self, embedder: Embedder, batch: DecodedBatch) -> None:
        self._batch = batch
        any_decoded = None in batch.errors
        self._embedding = embedder.start(batch.pixels) if any_decoded else None

    def finish(self, dim: int) -> EmbeddedRows:
        """Wait for the embeddings, (num_rows, dim)."""
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
