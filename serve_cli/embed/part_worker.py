"""Compute the parts of a run in this process."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING

from gluon_lifted.errors import (
    DataError,
    ImageError,
    RunError,
    UnreachableError,
)
from gluon_lifted.hardware.memory import peak_memory
from serve_cli.embed.decoding import read_content
from serve_cli.embed.embed_rows import Tally, embed_rows, reported
from serve_cli.embed.memory_budget import bounded_decoding
from serve_cli.embed.stage_times import StageTimes
from serve_cli.embeddings.vectors import fitting
from serve_cli.sources.image_row import HeldImage

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from gluon_lifted.progress import Progress
    from serve_cli.embed.embed_run import EmbedRun
    from serve_cli.embeddings.parts import Part
    from serve_cli.sources.image_row import EmbeddedRows, ImageRow

FAILURES_SHOWN = 5


@dataclass(frozen=True)
class Work:
    """Statistics of the computed parts.

    Parameters
    ----------
    times : StageTimes
        Sums over all workers.
    failures : list of str
        The first few errors.
    workers, threads : int
        Processes, and threads per process.
    peak_memory : int
        Largest peak memory of a process, in bytes.
    """

    times: StageTimes
    failures: list[str]
    workers: int
    threads: int
    peak_memory: int


class PartWorker:
    """Computes parts of a plan in any order. Ascending order avoids listing the source again.

    Attributes
    ----------
    times : StageTimes
        Sums over all parts so far.
    failures : list of str
        The first few errors.
    """

    def __init__(self, run: EmbedRun) -> None:
        self._run, self._plan = run, run.plan
        self._decoding = bounded_decoding(run.options, run.source, run.embedder, run.plan.batch_size)
        self._listing, self._position = iter(run.source), 0
        self.times, self.failures = StageTimes(), list[str]()

    def write(self, number: int, passing: Callable[[Iterable[EmbeddedRows]], Iterable[EmbeddedRows]] = iter) -> Part:
        """Compute and write a part. ``passing`` wraps the batches on their way to the file.

        Raises
        ------
        DataError
            If the source has vanished.
        RunError
            If the source has fewer rows than planned, or the part cannot be written.
        DeviceError
            If the network fails.
        """
        rows = self._rows(number)
        batches = embed_rows(self._run.embedder, rows, self._plan.batch_size, self._decoding, self.times)
        return self._run.folder.write(number, passing(self._noting_failures(fitting(batches, self._plan.dtype))))

    def _rows(self, number: int) -> Iterator[ImageRow]:
        wanted = self._plan.rows_of(number)
        ahead = wanted.start - self._position
        if ahead > 0 and self._run.source.starting is None:  # skipping rows is cheaper than listing again
            deque(islice(self._listing, ahead), maxlen=0)
        elif ahead != 0:
            self._listing = self._run.source.rows(wanted.start)
        self._position = wanted.start
        for row in islice(self._listing, len(wanted)):
            self._position += 1
            yield row
        if self._position < wanted.stop:
            raise RunError(f"{self._plan.source}: has fewer images than when the run began; start the run again.")

    def _noting_failures(self, batches: Iterable[EmbeddedRows]) -> Iterator[EmbeddedRows]:
        """Yield the batches and record failures. If images fail, check that the source still exists."""
        readable: ImageRow | None = None
        for batch in batches:
            errors = [error for error in batch.errors if error is not None]
            if errors and readable is not None:
                self._require_readable(readable)
            self.failures += errors[: FAILURES_SHOWN - len(self.failures)]
            good = (
                row
                for row, error in zip(reversed(batch.rows), reversed(batch.errors), strict=True)
                if error is None and not isinstance(row.content, HeldImage)
            )
            readable = next(good, readable)
            yield batch

    def _require_readable(self, row: ImageRow) -> None:
        """Raise `DataError` if an image that was read before can no longer be read.

        A host that does not answer does not stop the run: other rows have other hosts, and ``--retry-failed`` retries.
        """
        try:
            read_content(row, self._decoding)
        except UnreachableError:
            return
        except ImageError as error:
            raise DataError(
                f"{self._plan.source}: is gone or changing: {row.id} could be read a moment ago and cannot "
                f"be read now ({error}). Run the same command once the source is back. It resumes this run."
            ) from None


def compute_parts(run: EmbedRun, missing: list[int], progress: Progress) -> Work:
    """Compute parts one after another in this process."""
    worker = PartWorker(run)
    tally = Tally(run.rows_of(run.mine) - run.rows_of(missing))
    for number in missing:
        worker.write(number, lambda batches: reported(batches, progress, worker.times, tally))
    return Work(worker.times, worker.failures, 1, run.options.model_options.num_threads, peak_memory())
