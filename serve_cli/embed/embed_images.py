"""Embed all images of a source into an embedding folder: the work of `lifted embed`."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from serve_cli.embed.embed_report import EmbedReport
from serve_cli.embed.engines import ENGINES
from serve_cli.embed.run import open_run
from serve_cli.progress import open_progress
from serve_cli.provenance import versions
from serve_cli.sources.source import as_text

if TYPE_CHECKING:
    from serve_cli.embed.embed_options import EmbedOptions
    from serve_cli.embed.run import EmbedRun


def embed_images(options: EmbedOptions) -> EmbedReport:
    """Embed every image of ``options.source``. Progress goes to stderr.

    Raises
    ------
    DataError
        If there are no images, or the source vanishes.
    RunError
        If the model cannot be used, or the folder holds another run's embeddings or cannot be written to.
    DeviceError
        If the device cannot be used.
    ConfigError
        If the memory does not suffice.
    """
    run = open_run(options)
    missing, total = run.missing, run.rows_of(run.mine)
    resumed = total - run.rows_of(missing)
    began = time.perf_counter()
    with run.embedder, run.folder.begin(options.share.index, options.share.count):
        with open_progress("embed", total=total, start=resumed) as progress:
            work = ENGINES[options.engine](run, missing, progress)
        run.folder.complete(_about(run))
    seconds = time.perf_counter() - began
    return EmbedReport(
        out=options.out,
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
    """What a manifest says of how its embeddings were made."""
    return {
        "model": {"file": as_text(run.options.model.name), "sha256": run.plan.model_sha256},
        "versions": versions(),
        "created": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
    }
