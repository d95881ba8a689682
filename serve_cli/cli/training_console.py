"""What `lifted train` shows: progress, the recall before training, and the result."""

from __future__ import annotations

import math
import time
from contextlib import ExitStack
from typing import TYPE_CHECKING

from gluon_lifted.metrics.recall_comparison import EMBEDDING, PIXELS
from serve_cli.cli.console import Progress, say

if TYPE_CHECKING:
    from collections.abc import Callable

    from gluon_lifted.logs.run_log import TrainProgress
    from gluon_lifted.metrics.bootstrap import Estimate
    from gluon_lifted.metrics.recall_comparison import (
        EmbeddingRecall,
        RecallComparison,
    )
    from gluon_lifted.training.evaluation import RunRecall

QUIET_S = 2.0  # shorter measurements show no progress


class TrainingBar(ExitStack):
    """Progress of training, and of the measurements before and after it.

    The bar of training starts with the first batch: a resumed run does not start with batch 1.

    Parameters
    ----------
    now : callable
        The clock, in seconds. Tests pass their own.
    """

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._now = now
        self._bar: Progress | None = None
        self._measured, self._began = "", 0.0
        self._recall = self._classes = ""

    def show(self, progress: TrainProgress) -> None:
        """Show the progress after a batch, and the newest recall@1."""
        if self._measured or self._bar is None:
            self._open("train", progress.iterations, "batches", progress.iteration - 1)
            self._measured = ""
        assert self._bar is not None
        if progress.recall is not None:
            self._recall = f", recall@1 {progress.recall:.3f} (batch {progress.iteration:,}{self._classes})"
        text = f"loss {progress.loss:.3f}{self._recall}, {progress.images_per_second:.1f} images/s"
        self._bar.update(progress.iteration, text)

    def show_measuring(self, what: str, done: int, total: int) -> None:
        """Show the progress of a measurement that takes more than two seconds."""
        if self._measured != what:
            self.close()
            self._bar, self._measured, self._began = None, what, self._now()
        elif self._bar is None and self._now() - self._began > QUIET_S:
            self._open(f"measure {what}", total, "images", done)
        if self._bar is not None:
            self._bar.update(done)

    def show_start(self, start: RecallComparison) -> None:
        """Print recall@1 before training, and show the number of classes beside recall from now on."""
        self.close()
        self._bar = None
        self._classes = f", {start.num_classes:,} classes"
        say(f"train: recall@1 before training, of {start.images} (all others are the gallery):")
        for embedding in start.embeddings:
            name = f"{embedding_name(embedding)}, {embedding.dim:,}-d"
            say(f"train:   {name:34}{percent(embedding.recall[1])} %")

    def _open(self, label: str, total: int, unit: str, done: int) -> None:
        self.close()
        self._bar = self.enter_context(Progress(label, total, unit, done, self._now))


def embedding_name(embedding: EmbeddingRecall) -> str:
    """Return the name of an embedding, and its distance if that is not Euclidean."""
    return embedding.name if embedding.distance == "euclidean" else f"{embedding.name}, {embedding.distance}"


def percent(estimate: Estimate | None) -> str:
    """Return a recall in percent with its interval, such as ``48.4 [45.1, 51.7]``."""
    if estimate is None or math.isnan(estimate.value):
        return "-"
    interval = "" if math.isnan(estimate.low) else f" [{100 * estimate.low:.1f}, {100 * estimate.high:.1f}]"
    return f"{100 * estimate.value:.1f}{interval}"


def recall_table(measured: RunRecall) -> tuple[list[str], list[list[str]]]:
    """Return columns and rows of recall@1 in percent: after training and before, of validation and test images."""
    measurements = [comparison for comparison in (measured.validation, measured.test) if comparison]
    kinds = [comparison.kind for comparison in measurements]
    cells: dict[str, dict[str, str]] = {}
    for comparison in measurements:
        for embedding in comparison.embeddings:
            cells.setdefault(embedding_name(embedding), {})[comparison.kind] = percent(embedding.recall[1])
    if measured.start and measured.verdicts:
        for embedding in measured.start.embeddings:
            name = f"before: {embedding_name(embedding)}"
            if embedding.name != PIXELS:
                cells[name] = {measured.start.kind: percent(embedding.recall[1])}
    return ["recall@1, %", *kinds], [[name, *(row.get(kind, "-") for kind in kinds)] for name, row in cells.items()]


def recall_facts(measured: RunRecall) -> dict[str, str]:
    """Return the images of each column, and recall at larger k of the last."""
    comparisons = [comparison for comparison in (measured.validation, measured.test) if comparison]
    facts = {comparison.kind: comparison.images for comparison in comparisons}
    last = comparisons[-1]
    facts[last.kind] += "; recall falls as the gallery grows"
    if trained := last.get(EMBEDDING):
        ks = ", ".join(map(str, trained.recall))
        facts[f"{last.kind} R@{ks}"] = (
            ", ".join(f"{100 * estimate.value:.1f}" for estimate in trained.recall.values()) + " %"
        )
    return facts
