"""What a run of `lifted embed` did."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from serve_cli.progress import clock
from serve_cli.sources.passed_over import passed_over_text

if TYPE_CHECKING:
    from pathlib import Path


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
    passed_over : dict of str to int
        Files of the source that are no images by their suffixes, by suffix.
    seconds, images_per_second : float
        From the first image read to the last row written.
    shares : dict of str to float
        Shares of that time, see `StageTimes.shares`.
    decode_per_second : float
        Images that one thread reads and decodes in a second of its work.
    workers : int
        Processes that computed parts.
    threads : int
        Threads of each that decode, and threads of the network.
    peak_memory : int
        Bytes that this process, or one of the workers, took at most.
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
        """The report in words."""
        failed = f", {self.failed:,} of them failed" if self.failed else ""
        resumed = f", {self.resumed:,} of them by an earlier run" if self.resumed else ""
        missing = f", {self.parts_missing} of them not there yet" if self.parts_missing else ""
        found = {
            "embeddings": f"{self.out} ({self.parts} part file{'s' if self.parts > 1 else ''}{missing})",
            "model": f"{self.model}, {self.dim} numbers an image",
            "images": f"{self.rows:,}{failed}{resumed}",
        }
        if self.passed_over:
            found["passed over"] = passed_over_text(self.passed_over)
        if self.resumed == self.rows:
            return found
        return found | {
            "time": f"{clock(self.seconds)}, {self.images_per_second:.1f} images/s",
            "spent on": ", ".join(f"{name} {share:.0%}" for name, share in self.shares.items()),
            "decoding": f"{self.decode_per_second:.0f} images/s a thread, "
            f"{self.threads} thread{'s' if self.threads > 1 else ''}"
            + (f" in each of {self.workers} workers" if self.workers > 1 else ""),
            "memory": f"{self.peak_memory / 1e6:,.0f} MB at most",
        }
