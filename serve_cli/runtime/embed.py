"""Embed all images of a folder into an embedding folder: the work of `lifted embed`."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from serve_cli.console import Progress, clock
from serve_cli.runtime.files import sha256, versions
from serve_cli.runtime.pipeline import StageTimes, embed_rows, reported
from serve_cli.runtime.serving import Serving
from serve_cli.runtime.sinks import require_free, write_embeddings
from serve_cli.runtime.sources import as_text, open_source

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from serve_cli.runtime.rows import EmbeddedRows
    from serve_cli.runtime.session import Embedder

FAILURES_SHOWN = 5


@dataclass(frozen=True)
class EmbedOptions:
    """What `lifted embed` is asked for."""

    model: Path
    source: Path
    out: Path
    serving: Serving = Serving()
    overwrite: bool = False


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
    rows, failed, parts : int
        Rows written, how many of them have no embedding, files they are in.
    failures : tuple of str
        The first few errors.
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
    parts: int
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
        return {
            "embeddings": f"{self.out} ({self.parts} part file{'s' if self.parts > 1 else ''})",
            "model": f"{self.model}, {self.dim} numbers an image",
            "images": f"{self.rows:,}{failed}",
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
        If the model cannot be used, or the folder is not free or cannot be written to.
    DeviceError
        If the device cannot be used.
    """
    require_free(options.out, options.overwrite)
    source = open_source(options.source)
    embedder = options.serving.open(options.model)
    batch_size, threads = options.serving.batch_size or embedder.batch_size, options.serving.decoders
    times, failures, began = StageTimes(), list[str](), time.perf_counter()
    with Progress("embed", total=source.count()) as progress:
        batches = embed_rows(embedder, source, batch_size, threads, times)
        batches = reported(_noting_failures(batches, failures), progress)
        parts = write_embeddings(
            options.out, batches, embedder.card, _about(options, source.root, embedder, batch_size)
        )
    seconds = time.perf_counter() - began
    rows = sum(part.rows for part in parts)
    stages = times.wait_s + times.network_s + times.write_s
    return EmbedReport(
        out=options.out,
        model=embedder.card.name,
        dim=embedder.card.dim,
        rows=rows,
        failed=sum(part.failed for part in parts),
        parts=len(parts),
        failures=tuple(failures),
        seconds=seconds,
        images_per_second=rows / seconds,
        share_waiting=times.wait_s / stages,
        share_network=times.network_s / stages,
        share_writing=times.write_s / stages,
        decode_per_second=rows / times.decode_s,
        threads=threads,
    )


def _noting_failures(batches: Iterable[EmbeddedRows], failures: list[str]) -> Iterator[EmbeddedRows]:
    for batch in batches:
        failures += [error for error in batch.errors if error is not None][: FAILURES_SHOWN - len(failures)]
        yield batch


def _about(options: EmbedOptions, root: Path, embedder: Embedder, batch_size: int) -> dict[str, Any]:
    return {
        "source": as_text(root),
        "model": {"file": as_text(options.model.name), "sha256": sha256(options.model)},
        "provider": embedder.provider,
        "batch_size": batch_size,
        "versions": versions(),
        "created": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
    }
