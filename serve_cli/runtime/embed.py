"""Embed all images of a folder into an embedding folder: the work of `lifted embed`."""

from __future__ import annotations

import time
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from gluon_lifted.errors import ConfigError
from serve_cli.console import Progress, clock
from serve_cli.runtime.files import sha256, versions
from serve_cli.runtime.pipeline import StageTimes, Tally, embed_rows, reported
from serve_cli.runtime.plan import Plan, rows_of_part, survey
from serve_cli.runtime.serving import Serving
from serve_cli.runtime.sinks import FORMATS, EmbeddingFolder
from serve_cli.runtime.sources import as_text, open_source
from serve_cli.runtime.sources.manifest import Columns

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from serve_cli.runtime.rows import EmbeddedRows
    from serve_cli.runtime.session import Embedder
    from serve_cli.runtime.sources import Source

FAILURES_SHOWN = 5
PART_ROWS = 100_000


@dataclass(frozen=True)
class EmbedOptions:
    """What `lifted embed` is asked for.

    Parameters
    ----------
    model, source, out : Path; source also str
        The ONNX file, what to embed (a path or a URL), the embedding folder. One with parts of the same run is gone
        on with.
    serving : Serving
    columns : Columns
        Of a manifest.
    part_rows : int
        Rows of a part file.
    format : str
        ``"parquet"``, or ``"npy"``: as clip-retrieval lays it out.
    num_shards, shard_index : int
        Of ``num_shards`` runs that share the folder, this one computes parts ``shard_index``, ``shard_index +
        num_shards``, and so on.
    overwrite : bool
        Replace what another run has left there.

    Raises
    ------
    ConfigError
        If the numbers do not fit together.
    """

    model: Path
    source: Path | str
    out: Path
    serving: Serving = Serving()
    columns: Columns = Columns()
    part_rows: int = PART_ROWS
    format: str = "parquet"
    num_shards: int = 1
    shard_index: int = 0
    overwrite: bool = False

    def __post_init__(self) -> None:
        if self.part_rows < 1:
            raise ConfigError(f"parts of {self.part_rows} rows; give 1 or more.")
        if self.format not in FORMATS:
            raise ConfigError(f"format {self.format!r} is unknown; use {' or '.join(FORMATS)}.")
        if not 0 <= self.shard_index < self.num_shards:
            raise ConfigError(f"shard {self.shard_index} of {self.num_shards} is none; count from 0.")
        if self.overwrite and self.num_shards > 1:
            raise ConfigError("runs that share a folder cannot overwrite it; remove the folder first.")


@dataclass(frozen=True)
class EmbedReport:
    """What a run did.

    Parameters
    ----------
    out : Path
        The embedding folder.
    model : str
        The card's name of the model.
    dim : int
        Width of the embeddings.
    rows, failed : int
        Rows of this run's parts, and how many of them have no embedding.
    resumed : int
        How many of them an earlier run had written.
    parts, parts_missing : int
        Part files of the whole folder, and those that other runs are to write.
    failures : tuple of str
        The first few errors of this run.
    seconds, images_per_second : float
        From the first image read to the last row written.
    share_waiting, share_network, share_writing : float
        Shares of that time, in [0, 1]. Waiting is for images that are not decoded yet.
    decode_per_second : float
        Images that one thread decodes in a second of its work.
    threads : int
        Threads that decode, and threads of the network.
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
    seconds: float
    images_per_second: float
    share_waiting: float
    share_network: float
    share_writing: float
    decode_per_second: float
    threads: int

    def facts(self) -> dict[str, str]:
        """The report in words."""
        failed = f", {self.failed:,} of them failed" if self.failed else ""
        resumed = f", {self.resumed:,} of them by an earlier run" if self.resumed else ""
        missing = f", {self.parts_missing} of them not there yet" if self.parts_missing else ""
        found = {
            "embeddings": f"{self.out} ({self.parts} part file{'s' if self.parts > 1 else ''}{missing})",
            "model": f"{self.model}, {self.dim} numbers an image",
            "images": f"{self.rows:,}{failed}{resumed}",
        }
        if self.resumed == self.rows:
            return found
        return found | {
            "time": f"{clock(self.seconds)}, {self.images_per_second:.1f} images/s",
            "spent on": f"network {self.share_network:.0%}, waiting for images {self.share_waiting:.0%}, "
            f"writing {self.share_writing:.0%}",
            "decoding": f"{self.decode_per_second:.0f} images/s a thread, "
            f"{self.threads} thread{'s' if self.threads > 1 else ''}",
        }


def embed_images(options: EmbedOptions) -> EmbedReport:
    """Embed every image below ``options.source``. Progress goes to stderr.

    Raises
    ------
    DataError
        If there are no images.
    RunError
        If the model cannot be used, or the folder holds another run's embeddings or cannot be written to.
    DeviceError
        If the device cannot be used.
    """
    source = open_source(options.source, options.columns)
    embedder = options.serving.open(options.model)
    plan = _plan(options, source, embedder)
    folder = EmbeddingFolder(options.out, plan, embedder.card, source.extra, overwrite=options.overwrite)
    mine = range(options.shard_index, plan.parts, options.num_shards)
    missing = set(mine) - folder.finished.keys()
    resumed = sum(folder.finished[number].rows for number in mine if number not in missing)
    times, tally, failures, began = StageTimes(), Tally(resumed), list[str](), time.perf_counter()
    total = sum(len(plan.rows_of(number)) for number in mine)
    with Progress("embed", total=total, start=resumed) as progress:
        listing = iter(source)
        for number in range(max(missing, default=-1) + 1):
            rows = rows_of_part(listing, plan, number)
            if number in missing:
                batches = embed_rows(embedder, rows, plan.batch_size, options.serving.decoders, times)
                folder.write(number, reported(_noting_failures(batches, failures), progress, tally))
            else:
                deque(rows, maxlen=0)  # passed over
    folder.complete(_about(options, plan))
    seconds = time.perf_counter() - began
    stages = times.wait_s + times.network_s + times.write_s or 1.0
    return EmbedReport(
        out=options.out,
        model=embedder.card.name,
        dim=embedder.card.dim,
        rows=total,
        failed=sum(folder.finished[number].failed for number in mine),
        resumed=resumed,
        parts=plan.parts,
        parts_missing=plan.parts - len(folder.finished),
        failures=tuple(failures),
        seconds=seconds,
        images_per_second=(total - resumed) / seconds,
        share_waiting=times.wait_s / stages,
        share_network=times.network_s / stages,
        share_writing=times.write_s / stages,
        decode_per_second=(total - resumed) / (times.decode_s or 1.0),
        threads=options.serving.decoders,
    )


def _plan(options: EmbedOptions, source: Source, embedder: Embedder) -> Plan:
    found = survey(source)
    return Plan(
        source=as_text(source.root),
        rows=found.rows,
        ids_sha256=found.sha256,
        model_sha256=sha256(options.model),
        provider=embedder.provider,
        batch_size=options.serving.batch_size or embedder.batch_size,
        part_rows=options.part_rows,
        format=options.format,
    )


def _noting_failures(batches: Iterable[EmbeddedRows], failures: list[str]) -> Iterator[EmbeddedRows]:
    for batch in batches:
        failures += [error for error in batch.errors if error is not None][: FAILURES_SHOWN - len(failures)]
        yield batch


def _about(options: EmbedOptions, plan: Plan) -> dict[str, Any]:
    return {
        "model": {"file": as_text(options.model.name), "sha256": plan.model_sha256},
        "versions": versions(),
        "created": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
    }
