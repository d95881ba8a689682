"""Load an embedding folder into a database: write to a staging table, build the index, verify, and switch."""

from __future__ import annotations

import logging
import math
import time
from contextlib import ExitStack, closing, contextmanager
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from gluon_lifted.errors import DataError, LiftedError
from gluon_lifted.progress import open_progress
from serve_cli.embeddings.stream import EmbeddedBatch, EmbeddingStream
from serve_cli.retrieval.load.load_options import LoadReport
from serve_cli.retrieval.load.load_plan import plan_load
from serve_cli.retrieval.load.read_ahead import read_ahead
from serve_cli.retrieval.load.repeated_ids import repeated_rows, without_rows
from serve_cli.retrieval.load.target import target_class
from serve_cli.retrieval.load.verify import Sample, verify
from serve_cli.sources.network.retry import RetryPolicy

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray

    from gluon_lifted.progress import Progress
    from serve_cli.retrieval.load.load_options import LoadOptions
    from serve_cli.retrieval.load.target import LoadPlan, Target

    T = TypeVar("T")

logger = logging.getLogger(__name__)

RETRIES = RetryPolicy(seconds=math.inf, attempts=8, pause_s=1.0)  # of each call; pauses of up to 1, 2, 4, ... 64 s
FLOAT16_MOST = float(np.finfo(np.float16).max)


def load_embeddings(options: LoadOptions, *, dry_run: bool = False, retries: RetryPolicy = RETRIES) -> LoadReport:
    """Load embeddings into a database, resuming an interrupted load.

    Readers of the table see the old rows, or none, until all new rows are written, indexed and verified.

    Parameters
    ----------
    options : LoadOptions
        Embeddings, database and table.
    dry_run : bool
        Connect and check, but write nothing.
    retries : RetryPolicy
        How often a call is retried after an error that may be transient, such as a lost connection.

    Returns
    -------
    LoadReport
        What was written, or would be.

    Raises
    ------
    ConfigError
        If the URL, a column, the storage type or the index is not one that the database has, or only ``overwrite``
        may replace the table.
    DataError
        If an id occurs twice with different embeddings, or the database cannot hold a value.
    RunError
        If the embeddings are damaged, the database refuses them or cannot be reached, or it returns other embeddings
        than were sent.
    MissingPackageError
        If the database's client is not installed.

    Notes
    -----
    The old table is unchanged after every error. No error shows the URL's credentials.

    Examples
    --------
    >>> options = LoadOptions("embeddings", to="postgresql://localhost/shop", table="cars")
    >>> load_embeddings(options, dry_run=True).action  # doctest: +SKIP
    'create'
    >>> load_embeddings(options).rows  # doctest: +SKIP
    60000
    """
    began = time.monotonic()
    kind = target_class(options.to)
    stream = EmbeddingStream(options.source)
    repeated = repeated_rows(stream)
    not_finite = stream.not_finite
    plan = plan_load(stream, options, kind, len(repeated))
    with closing(kind(options.to, plan)) as target, _explained(target):
        preview = target.preview()
        planned = LoadReport.planned(
            kind.database,
            plan.table,
            preview,
            rows=plan.rows,
            failed=stream.failed,
            not_finite=not_finite,
            repeated=len(repeated),
        )
        if dry_run or preview.complete:
            return replace(planned, dry_run=dry_run)
        call = _Caller(target, retries)
        call(target.prepare)
        sample, resumed = _write(_batches(stream, plan, repeated), target, plan, call)
        call(target.build_index)
        try:
            call(partial(verify, target, plan, sample.embeddings))
        except LiftedError:
            target.discard()
            raise
        call(target.switch)
    return replace(
        planned,
        resumed=resumed,
        compared=len(sample.embeddings),
        seconds=time.monotonic() - began,
        dry_run=False,
    )


class _Caller:
    """Retries calls of a target after transient errors."""

    def __init__(self, target: Target, retries: RetryPolicy) -> None:
        self._target, self._retries = target, retries

    def __call__(self, method: Callable[[], T]) -> T:
        return self._retries.run(lambda _: method(), self._failure)

    def _failure(self, error: Exception) -> float | None:
        if isinstance(error, LiftedError) or not self._target.is_transient(error):
            return None
        logger.warning("%s Trying again.", self._target.explain(error) or "The call failed.")
        return 0.0


@contextmanager
def _explained(target: Target) -> Iterator[None]:
    """Turn the driver's errors into sentences."""
    try:
        yield
    except LiftedError:
        raise
    except Exception as error:  # drivers' errors have no common base class; what a target cannot explain is a bug
        explained = target.explain(error)
        if explained is None:
            raise
        raise explained from None


def _batches(stream: EmbeddingStream, plan: LoadPlan, repeated: NDArray[np.int64]) -> Iterator[EmbeddedBatch]:
    """Iterate over batches with the plan's columns, each id once."""
    start = 0
    for batch in stream.batches(plan.batch_rows):
        first, last = np.searchsorted(repeated, [start, start + len(batch)])
        kept = without_rows(batch, repeated[first:last] - start)
        if plan.dtype == "float16":
            _check_range(kept)
        yield EmbeddedBatch(kept.table.select(plan.schema.names), kept.embedding)
        start += len(batch)


def _check_range(batch: EmbeddedBatch) -> None:
    """Raise `DataError` if a number exceeds the range of float16."""
    beyond = np.flatnonzero(np.abs(batch.embedding).max(axis=1, initial=0) > FLOAT16_MOST)
    if len(beyond):
        name = batch.table["id"][int(beyond[0])].as_py()
        raise DataError(
            f"{name!r:.200}: its embedding exceeds {FLOAT16_MOST:.0f}, the largest float16; use --dtype float32."
        )


def _write(batches: Iterator[EmbeddedBatch], target: Target, plan: LoadPlan, call: _Caller) -> tuple[Sample, int]:
    """Write the batches that the staging table lacks. Return the sample to verify, and the rows already there."""
    sample, resumed, done = Sample(plan), 0, 0
    with ExitStack() as stack:
        ahead = stack.enter_context(closing(read_ahead(batches)))
        progress: Progress | None = None
        for number, batch in enumerate(ahead):
            sample.add(batch)
            done += len(batch)
            if call(partial(target.loaded, batch, number)):
                resumed += len(batch)
                continue
            if progress is None:  # the rate leaves out what was there before
                progress = stack.enter_context(open_progress("load", plan.rows, "rows", resumed))
            call(partial(target.write, batch, number))
            progress.update(done)
    return sample, resumed
