"""What `lifted train` prints: the recall before training, and the result."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from gluon_lifted.metrics.recall_comparison import EMBEDDING, PIXELS
from serve_cli.cli.console import say

if TYPE_CHECKING:
    from gluon_lifted.metrics.bootstrap import Estimate
    from gluon_lifted.metrics.recall_comparison import (
        EmbeddingRecall,
        RecallComparison,
    )
    from gluon_lifted.training.evaluation import RunRecall


def show_start(start: RecallComparison) -> None:
    """Print recall@1 before training."""
    say(f"train: recall@1 before training, of {start.images} (all others are the gallery):")
    for embedding in start.embeddings:
        name = f"{embedding_name(embedding)}, {embedding.dim:,}-d"
        say(f"train:   {name:34}{percent(embedding.recall[1])} %")


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
