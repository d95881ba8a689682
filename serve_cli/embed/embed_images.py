"""Embed all images of a source into an embedding folder, as `lifted embed` does."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gluon_lifted.progress import clock, open_progress
from serve_cli.embed.embed_run import open_run
from serve_cli.embed.engines import ENGINES
from serve_cli.provenance import versions
from serve_cli.sources.passed_over import passed_over_text
from serve_cli.sources.source import as_text

if TYPE_CHECKING:
    from serve_cli.embed.embed_options import EmbedOptions
    from serve_cli.embed.embed_run import EmbedRun


@dataclass(frozen=True)
class EmbedReport:
    """What a run did.

    Parameters
    ----------
    out : Path
        The embedding folder.
    model : str
        The model's name in its card.
    dim : int
        Width of the embeddings.
    rows, failed : int
        Rows of this run's parts, and how many of them have no embedding.
    resumed : int
        Rows that an earlier run had written.
    parts, parts_missing : int
        Part files of the whole folder, and how many of them are left to other runs.
    failures : tuple of str
        The first few errors of this run.
    passed_over : dict of str to int
        Skipped files without an image suffix, by suffix.
    seconds, images_per_second : float
        From the first image read to the last row written.
    shares : dict of str to float
        Shares of that time, see `StageTimes.shares`.
    decode_per_second : float
        Images that one thread reads and decodes per second of its work.
    workers : int
        Processes that computed parts.
    threads : int
        Decoding threads per worker, and as many threads of the network.
    peak_memory : int
        Largest peak memory of a worker, in bytes.
    """

    out: Path
    model: str
    dim: int
    rows: int
    failed: int
    resumed: int
    parts: int
    parts_missing: int
    failures: tuple[str, ...]
    passed_over: dict[str, int]
    seconds: float
    images_per_second: float
    shares: dict[str, float]
    decode_per_second: float
    workers: int
    threads: int
    peak_memory: int

    def facts(self) -> dict[str, str]:
        """Return the report as text."""
        failed = f", {self.failed:,} of them failed" if self.failed else ""
        if self.failed == self.rows > 1:
            failed = ", all failed"
        resumed = f", {self.resumed:,} of them by an earlier run" if self.resumed else ""
        missing = f", {self.parts_missing} of them not written yet" if self.parts_missing else ""
        facts = {
            "embeddings": f"{self.out} ({self.parts} part file{'s' if self.parts > 1 else ''}{missing})",
            "model": f"{self.model}, {self.dim} numbers per image",
            "images": f"{self.rows:,}{failed}{resumed}",
        }
        if self.passed_over:
            facts["skipped"] = passed_over_text(self.passed_over)
        if self.resumed == self.rows:
            return facts
        return facts | {
            "time": f"{clock(self.seconds)}, {self.images_per_second:.1f} images/s",
            "spent on": ", ".join(f"{name} {share:.0%}" for name, share in self.shares.items()),
            "decoding": f"{self.decode_per_second:.0f} images/s per thread, "
            f"{self.threads} thread{'s' if self.threads > 1 else ''}"
            + (f" in each of {self.workers} workers" if self.workers > 1 else ""),
            "memory": f"{self.peak_memory / 1e6:,.0f} MB at most",
        }


def embed_images(options: EmbedOptions) -> EmbedReport:
    """Embed every image of ``options.source``. Progress is shown on stderr.

    Raises
    ------
    DataError
        If there are no images, or the source vanishes.
    RunError
        If the model cannot be used, or the folder holds another run's embeddings or cannot be written to.
    DeviceError
        If the device cannot be used.
    ConfigError
        If there is too little memory.
    """
    run = open_run(options)
    missing, total = run.missing, run.rows_of(run.mine)
    resumed = total - run.rows_of(missing)
    began = time.perf_counter()
    with run.embedder, run.folder.begin(options.task.index, options.task.count):
        with open_progress("embed", total=total, start=resumed) as progress:
            work = ENGINES[options.engine].compute(run, missing, progress)
        run.folder.complete(_about(run))
    seconds = time.perf_counter() - began
    return EmbedReport(
        out=Path(options.out),
        model=run.embedder.card.name,
        dim=run.embedder.card.dim,
        rows=total,
        failed=sum(run.folder.finished[number].failed for number in run.mine),
        resumed=resumed,
        parts=run.plan.parts,
        parts_missing=run.plan.parts - len(run.folder.finished),
        failures=tuple(work.failures),
        passed_over=run.source.passed_over.by_suffix(),
        seconds=seconds,
        images_per_second=(total - resumed) / seconds,
        shares=work.times.shares(),
        decode_per_second=(total - resumed) / (work.times.read_s + work.times.decode_s or 1.0),
        workers=work.workers,
        threads=work.threads,
        peak_memory=work.peak_memory,
    )


def _about(run: EmbedRun) -> dict[str, Any]:
    """Collect the manifest's fields about the model file, package versions and time."""
    model = Path(run.options.model)
    return {
        "model": {
            "file": as_text(model.name),
            "path": as_text(model.resolve()),
            "sha256": run.plan.model_sha256,
        },
        "versions": versions(),
        "created": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
    }
