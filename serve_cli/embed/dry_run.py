"""Estimate a run of `lifted embed` without writing anything."""

from __future__ import annotations

import math
import shutil
import time
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from gluon_lifted.progress import clock
from serve_cli.embed.embed_rows import collect, embed_rows
from serve_cli.embed.embed_run import open_run
from serve_cli.embed.memory_budget import bounded_decoding
from serve_cli.embed.part_worker import FAILURES_SHOWN
from serve_cli.embed.stage_times import StageTimes
from serve_cli.embeddings.vectors import DTYPES
from serve_cli.sources.passed_over import passed_over_text

if TYPE_CHECKING:
    from serve_cli.embed.embed_options import EmbedOptions

LEAST_TRIED, BATCHES_TRIED = 64, 8  # images and batches for measuring the rate


@dataclass(frozen=True)
class RunEstimate:
    """The estimated work, time and disk space of a run.

    Parameters
    ----------
    source : str
        The folder, file, pattern or URL.
    out : Path
        The embedding folder.
    model : str
        The model's name in its card, and the width of its embeddings.
    rows, parts : int
        Rows and part files of this run.
    rows_left, parts_left : int
        Rows and part files still to be computed.
    columns : tuple of str
        Columns that are carried along.
    tried, failed : int
        The source's first images, embedded for this estimate, and how many of them failed.
    failures : tuple of str
        The first few errors.
    passed_over : dict of str to int
        Skipped files without an image suffix, by suffix.
    images_per_second, seconds : float
        The measured rate, and the remaining time at that rate.
    spent_on : str
        Shares of the stages.
    bytes, bytes_free : int
        Size of the remaining embeddings, and free space on the disk.
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
        """Return the estimate as text."""
        passed_over = {"skipped": passed_over_text(self.passed_over)} if self.passed_over else {}
        if not self.rows_left:
            source = {"source": f"{self.source}, {self.rows:,} images"}
            return source | passed_over | {"to do": "nothing: all part files exist"}
        failed = f", {self.failed} of them failed" if self.failed else ""
        scarce = ", not enough" if self.bytes > self.bytes_free else ""
        return {
            "source": f"{self.source}, {self.rows:,} images in {_part_files(self.parts)}",
            **passed_over,
            **({"columns": f"{', '.join(self.columns)}, copied from the table"} if self.columns else {}),
            "model": self.model,
            "to do": f"{self.rows_left:,} images, {_part_files(self.parts_left)}",
            "tried": f"the first {self.tried} images{failed}; {self.spent_on}",
            "time": f"about {clock(self.seconds)} at {self.images_per_second:.0f} images/s",
            "disk": f"{math.ceil(self.bytes / 1e6):,} MB below {self.out}, "
            f"{self.bytes_free / 1e6:,.0f} MB free{scarce}",
        }


def _part_files(count: int) -> str:
    return f"{count} part file{'s' if count > 1 else ''}"


def estimate_run(options: EmbedOptions) -> RunEstimate:
    """Open source, model and folder, and embed the first few images. Raises as `embed_images` does."""
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
        out=Path(options.out),
        model=f"{run.embedder.card.name}, {run.embedder.card.dim} numbers per image",
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
        bytes_free=shutil.disk_usage(_existing_ancestor(Path(options.out))).free,
    )


def _existing_ancestor(folder: Path) -> Path:
    """Return the folder itself, or its nearest ancestor that exists."""
    return next(path for path in (folder.absolute(), *folder.absolute().parents) if path.exists())
