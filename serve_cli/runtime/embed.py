"""Embed all images of a source into an embedding folder: the work of `lifted embed`."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from gluon_lifted.machine.memory import peak_memory
from serve_cli.console import Progress
from serve_cli.runtime.decoding import CHECKSUMS
from serve_cli.runtime.embed_report import EmbedReport
from serve_cli.runtime.files import sha256, versions
from serve_cli.runtime.part_worker import PartWorker
from serve_cli.runtime.pipeline import Tally, reported
from serve_cli.runtime.plan import Plan, survey
from serve_cli.runtime.sinks import EmbeddingFolder
from serve_cli.runtime.sources import as_text, open_source

if TYPE_CHECKING:
    from serve_cli.runtime.embed_options import EmbedOptions
    from serve_cli.runtime.session import Embedder
    from serve_cli.runtime.sources import Source


@dataclass(frozen=True)
class EmbedRun:
    """All that a run needs, once its plan is made.

    Parameters
    ----------
    options : EmbedOptions
    plan : Plan
    source : Source
    embedder : Embedder
    folder : EmbeddingFolder
    """

    options: EmbedOptions
    plan: Plan
    source: Source
    embedder: Embedder
    folder: EmbeddingFolder

    @property
    def mine(self) -> range:
        """The numbers of this run's parts."""
        return range(self.options.share.index, self.plan.parts, self.options.share.count)

    @property
    def missing(self) -> list[int]:
        """Those that are to be computed."""
        kept = {
            number for number, part in self.folder.finished.items() if not (self.options.retry_failed and part.failed)
        }
        return [number for number in self.mine if number not in kept]


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
    missing = run.missing
    worker = PartWorker(options, run.plan, run.source, run.embedder, run.folder)
    total = sum(len(run.plan.rows_of(number)) for number in run.mine)
    resumed = total - sum(len(run.plan.rows_of(number)) for number in missing)
    tally, began = Tally(resumed), time.perf_counter()
    with Progress("embed", total=total, start=resumed) as progress:
        for number in missing:
            worker.write(number, lambda batches: reported(batches, progress, worker.times, tally))
    run.folder.complete(about(run))
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
        failures=tuple(worker.failures),
        seconds=seconds,
        images_per_second=(total - resumed) / seconds,
        shares=worker.times.shares(),
        decode_per_second=(total - resumed) / (worker.times.read_s + worker.times.decode_s or 1.0),
        threads=options.serving.decoders,
        peak_memory=peak_memory(),
    )


def open_run(options: EmbedOptions) -> EmbedRun:
    """Open source, model and folder; raises as `embed_images` does."""
    source = open_source(options.source, options.columns)
    embedder = options.serving.open(options.model)
    plan = _plan(options, source, embedder)
    extra = pa.schema([*(CHECKSUMS if plan.checksums else ()), *source.extra])
    folder = EmbeddingFolder(options.out, plan, embedder.card, extra, overwrite=options.overwrite)
    return EmbedRun(options, plan, source, embedder, folder)


def about(run: EmbedRun) -> dict[str, Any]:
    """What a manifest says of how its embeddings were made."""
    return {
        "model": {"file": as_text(run.options.model.name), "sha256": run.plan.model_sha256},
        "versions": versions(),
        "created": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
    }


def _plan(options: EmbedOptions, source: Source, embedder: Embedder) -> Plan:
    found = survey(source)
    return Plan(
        source=as_text(source.root),
        rows=found.rows,
        ids_sha256=found.sha256,
        model_sha256=sha256(options.model),
        provider=embedder.provider,
        batch_size=options.serving.batch_size or embedder.batch_size,
        part_rows=options.output.part_rows,
        pixel_limit=options.pixel_limit,
        format=options.output.format,
        dtype=options.output.dtype,
        checksums=options.output.checksums,
    )
