"""Estimate a run of `lifted embed` without writing anything."""

from __future__ import annotations

import shutil
import time
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING

import numpy as np

from serve_cli.embed.embed_rows import collect, embed_rows
from serve_cli.embed.embed_run import open_run
from serve_cli.embed.memory_budget import bounded_decoding
from serve_cli.embed.part_worker import FAILURES_SHOWN
from serve_cli.embed.stage_times import StageTimes
from serve_cli.embeddings.vectors import DTYPES
from serve_cli.progress import clock
from serve_cli.sources.passed_over import passed_over_text

if TYPE_CHECKING:
    from pathlib import Path

    from serve_cli.embed.embed_options import EmbedOptions

LEAST_TRIED, BATCHES_TRIED = 64, 8  # images that the rate is measured on


@dataclass(frozen=True)
class RunEstimate:
    """What would be done.

    Parameters
    ----------
    source : str
    out : Path
    model : str
        The card's name of the model.
    rows, parts : int
        Of this run.
    rows_left, parts_left : int
        Of these, the ones that are still to be computed.
    columns : tuple of str
        That are carried along.
    tried, failed : int
        Images that were embedded for this estimate, the first ones of the source, and those of them that failed.
    failures : tuple of str
        The first few errors.
    passed_over : dict of str to int
        Files of the source that are no images by their suffixes, by suffix.
    images_per_second, seconds : float
        At the rate of those images, and what is left then.
    spent_on : str
        Shares of the stages.
    bytes, bytes_free : int
        That the numbers of what is left take, and that the disk has.
    """

    source: str
    out: Path
    model: str
    rows: int
    parts: int
    rows_left: int
    parts_left: int
    columns: tuple[str, ...]
    tried: int
    failed: int
    failures: tuple[str, ...]
    passed_over: dict[str, int]
    images_per_second: float
    seconds: float
    spent_on: str
    bytes: int
    bytes_free: int

    def facts(self) -> dict[str, str]:
        """The estimate in words."""
        passed_over = {"passed over": passed_over_text(self.passed_over)} if self.passed_over else {}
        if not self.rows_left:
            source = {"source": f"{self.source}, {self.rows:,} images"}
            return source | passed_over | {"to do": "nothing; all parts are there"}
        failed = f", {self.failed} of them failed" if self.failed else ""
        scarce = "; that is not enough" if self.bytes > self.bytes_free else ""
        return {
            "source": f"{self.source}, {self.rows:,} images in {self.parts} part files",
            **passed_over,
            "carried": ", ".join(self.columns) or "no further columns",
            "model": self.model,
            "to do": f"{self.rows_left:,} images, {self.parts_left} part files",
            "tried": f"the first {self.tried} images{failed}; {self.spent_on}",
            "time": f"about {clock(self.seconds)} at {self.images_per_second:.0f} images/s",
            "disk": f"{self.bytes / 1e6:,.0f} MB below {self.out}, {self.bytes_free / 1e6:,.0f} MB free{scarce}",
        }


def estimate_run(options: EmbedOptions) -> RunEstimate:
    """Open all that a run needs and embed the first few images; raises as `embed_images` does."""
    run = open_run(options)
    decoding, times = bounded_decoding(options, run.source, run.embedder, run.plan.batch_size), StageTimes()
    rows_left = run.rows_of(run.missing)
    first = islice(run.source, min(rows_left, max(LEAST_TRIED, BATCHES_TRIED * run.plan.batch_size)))
    began = time.perf_counter()
    tried = collect(embed_rows(run.embedder, first, run.plan.batch_size, decoding, times), run.embedder.card.dim)
    rate = len(tried.rows) / (time.perf_counter() - began)
    errors = [error for error in tried.errors if error is not None]
    return RunEstimate(
        source=run.plan.source,
        out=options.out,
        model=f"{run.embedder.card.name}, {run.embedder.card.dim} numbers an image",
        rows=run.rows_of(run.mine),
        parts=len(run.mine),
        rows_left=rows_left,
        parts_left=len(run.missing),
        columns=tuple(run.source.extra.names),
        tried=len(tried.rows),
        failed=len(errors),
        failures=tuple(errors[:FAILURES_SHOWN]),
        passed_over=run.source.passed_over.by_suffix(),
        images_per_second=rate,
        seconds=rows_left / rate if rows_left else 0.0,
        spent_on=times.text(),
        bytes=rows_left * run.embedder.card.dim * np.dtype(DTYPES[run.plan.dtype]).itemsize,
        bytes_free=shutil.disk_usage(_standing(options.out)).free,
    )


def _standing(folder: Path) -> Path:
    """The folder, or the first above it that is there."""
    return next(path for path in (folder.absolute(), *folder.absolute().parents) if path.exists())
