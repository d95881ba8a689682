"""Recall of several embeddings of the same images: with intervals, and with differences between two of them."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from gluon_lifted.metrics.bootstrap import ClassBootstrap, Estimate
from gluon_lifted.metrics.ranking.search import Search
from gluon_lifted.metrics.retrieval import retrieval_scores

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from gluon_lifted.metrics.choices import Distance

KS = (1, 2, 4, 8)  # Song et al. 2016, tables of CUB-200-2011 and CARS196
EMBEDDING, POOLED, PIXELS = "embedding", "pooled features", "raw pixels"  # what images are compared by
Json = dict[str, Any]


@dataclass(frozen=True, eq=False)
class EmbeddingRecall:
    """Recall of one embedding of N images. Every image is a query, and all others are its gallery.

    Parameters
    ----------
    name : str
        What the images are compared by, such as ``"raw pixels"``.
    dim : int
        Width of a row.
    distance : {"euclidean", "cosine"}
        Distance between rows.
    recall : dict of int to Estimate
        k -> recall@k in [0, 1] with its 95 % interval.
    hits : ndarray, bool, (N,)
        Whether an image's nearest other image is of its class. The mean is recall@1.
    """

    name: str
    dim: int
    distance: Distance
    recall: dict[int, Estimate]
    hits: NDArray[np.bool_]

    def to_json(self) -> Json:
        """Return all but the hits. Undefined bounds are None."""
        recall = {str(k): estimate_to_json(estimate) for k, estimate in self.recall.items()}
        return {"name": self.name, "dim": self.dim, "distance": self.distance, "recall": recall}


@dataclass(frozen=True, eq=False)
class RecallComparison:
    """Recall of several embeddings of the same images.

    Parameters
    ----------
    kind : str
        ``"validation"`` or ``"test"``.
    labels : ndarray, int64, (N,)
        Class of each image.
    embeddings : tuple of EmbeddingRecall
        Only those whose rows are finite.
    """

    kind: str
    labels: NDArray[np.int64]
    embeddings: tuple[EmbeddingRecall, ...]

    @property
    def num_classes(self) -> int:
        """Number of classes."""
        return len(np.unique(self.labels))

    @property
    def images(self) -> str:
        """Description of the images, on whose number recall depends: ``"842 images of 10 validation classes"``."""
        return f"{len(self.labels):,} images of {self.num_classes:,} {self.kind} classes"

    def get(self, name: str) -> EmbeddingRecall | None:
        """Return the recall of the embedding with this name; None if it was not measured."""
        return next((embedding for embedding in self.embeddings if embedding.name == name), None)

    def difference(self, embedding: EmbeddingRecall, baseline: EmbeddingRecall) -> Estimate:
        """Return recall@1 of an embedding minus that of a baseline for the same images, with its 95 % interval."""
        return ClassBootstrap(self.labels).difference(embedding.hits, baseline.hits)

    def to_json(self) -> Json:
        """Return numbers of images and classes, and the recall of each embedding, without hits."""
        return {
            "kind": self.kind,
            "images": len(self.labels),
            "classes": self.num_classes,
            "embeddings": [embedding.to_json() for embedding in self.embeddings],
        }

    def to_json_with_hits(self) -> Json:
        """Return `to_json` with the hits of each embedding as a string of 0 and 1, for `from_json`."""
        hits = ["".join(map(str, embedding.hits.astype(int))) for embedding in self.embeddings]
        entries = [embedding.to_json() | {"hits": text} for embedding, text in zip(self.embeddings, hits, strict=True)]
        return self.to_json() | {"embeddings": entries}

    @staticmethod
    def from_json(values: Json, labels: NDArray[np.int64]) -> RecallComparison:
        """Return what `to_json_with_hits` wrote, for images of these labels.

        Raises
        ------
        KeyError, TypeError, ValueError
            If it was written for other images, or is damaged.
        """
        comparison = RecallComparison(
            values["kind"], labels, tuple(_embedding(entry, len(labels)) for entry in values["embeddings"])
        )
        written, expected = (values["images"], values["classes"]), (len(labels), comparison.num_classes)
        if written != expected:
            raise ValueError(f"{written[0]} images of {written[1]} classes, expected {expected[0]} of {expected[1]}")
        return comparison


def measure_recall(
    name: str,
    rows: NDArray[np.float32],
    labels: NDArray[np.int64],
    distance: Distance = "euclidean",
    report: Callable[[float], None] = lambda share: None,
) -> tuple[EmbeddingRecall, ...]:
    """Measure recall@1, 2, 4 and 8 of an embedding with 95 % intervals.

    Parameters
    ----------
    name : str
        What the images are compared by.
    rows : ndarray, float32, (N, D)
        Embedding of each image. A row of zeros has no direction: with one, the distance is Euclidean.
    labels : ndarray, int64, (N,)
        Class of each image.
    distance : {"euclidean", "cosine"}
        Distance between rows.
    report : callable, optional
        Called from time to time with the share of the work done, 0 to 1.

    Returns
    -------
    tuple of EmbeddingRecall
        Empty if a value is not finite, as when training has diverged.
    """
    if not np.isfinite(rows).all():
        return ()
    if distance == "cosine" and not np.einsum("nd,nd->n", rows, rows, dtype=np.float64).all():
        distance = "euclidean"
    scores = retrieval_scores(Search.leave_one_out(rows, labels), distance, only_first=True, report=report)
    bootstrap = ClassBootstrap(labels)
    recall = {k: bootstrap.interval(scores.recall_at_k(k)) for k in KS}
    return (EmbeddingRecall(name, rows.shape[1], distance, recall, scores.first_rank == 1),)


def estimate_to_json(estimate: Estimate) -> dict[str, float | None]:
    """Return value, low and high; None for undefined numbers, which JSON lacks."""
    numbers = {"value": estimate.value, "low": estimate.low, "high": estimate.high}
    return {name: number if math.isfinite(number) else None for name, number in numbers.items()}


def _embedding(entry: Json, num_images: int) -> EmbeddingRecall:
    hits = np.frombuffer(entry["hits"].encode(), np.uint8) == ord("1")
    if len(hits) != num_images:
        raise ValueError(f"{len(hits)} hits of {num_images} images")
    distance = entry["distance"]
    if distance not in ("euclidean", "cosine"):
        raise ValueError(f"distance {distance!r:.40}")
    return EmbeddingRecall(
        str(entry["name"]), int(entry["dim"]), cast("Distance", distance), recall_from_json(entry["recall"]), hits
    )


def recall_from_json(values: Json) -> dict[int, Estimate]:
    """Return k -> recall@k as `EmbeddingRecall.to_json` wrote it. Raise `KeyError`, `TypeError` or `ValueError`."""
    return {int(k): _estimate(estimate) for k, estimate in values.items()}


def _estimate(values: Json) -> Estimate:
    return Estimate(*(math.nan if values[name] is None else float(values[name]) for name in ("value", "low", "high")))
