"""Recall of queries whose classes were trained on, apart from that of all others."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from gluon_lifted.metrics.bootstrap import ClassBootstrap

if TYPE_CHECKING:
    from gluon_lifted.metrics.bootstrap import Estimate
    from gluon_lifted.metrics.retrieval import Scores
    from serve_cli.embeddings.reader import Embeddings


class TrainedClasses(NamedTuple):
    """Classes of the embeddings that the model was trained on, and the number of their images.

    ``seen`` and ``unseen`` are recall@1 of the queries of these and of all other classes, each with all images as its
    gallery; None without such queries.
    """

    names: frozenset[str]
    images: int
    seen: Estimate | None
    unseen: Estimate | None


def split_by_training(embeddings: Embeddings, scores: Scores, training_classes: frozenset[str]) -> TrainedClasses:
    """Split queries by whether their class was trained on."""
    names = training_classes & set(embeddings.class_names)
    seen = np.array([name in names for name in embeddings.class_names])[embeddings.labels]
    hits = scores.recall_at_k(1)
    estimates = [
        ClassBootstrap(embeddings.labels[part]).interval(hits[part]) if part.any() else None for part in (seen, ~seen)
    ]
    return TrainedClasses(frozenset(names), int(seen.sum()), *estimates)
