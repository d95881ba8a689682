"""Compute the numbers of a report: recall at k, other retrieval metrics, and recall of each class."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from gluon_lifted.metrics.bootstrap import ClassBootstrap
from serve_cli.evaluate.metrics import MAP, MAP_AT_R, MRR, R_PRECISION, RetrievalMetric

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from gluon_lifted.metrics.bootstrap import Estimate
    from gluon_lifted.metrics.retrieval import Scores
    from serve_cli.embeddings.reader import Embeddings

SHOWN_METRICS = (MAP_AT_R, R_PRECISION, MRR, MAP)
CURVE_END = 1024  # the curve's largest k


class MetricMean(NamedTuple):
    """Mean of a metric over the queries for which it is defined, in [0, 1]; NaN if there are none."""

    metric: RetrievalMetric
    mean: float


class CurvePoint(NamedTuple):
    """Recall at k, and the expected recall in a random order of the images."""

    k: int
    recall: float
    chance: float


class ClassLine(NamedTuple):
    """Name, number of images, recall@1 and mean MAP@R of a class (NaN for a single image).

    ``sample`` is the row nearest to the mean of the class. ``confused`` is the most frequent class at rank 1 among its
    misses, if known.
    """

    name: str
    images: int
    recall: float
    map_at_r: float
    sample: int
    confused: str | None


@dataclass(frozen=True)
class Summary:
    """Metrics of all queries.

    Parameters
    ----------
    recall : dict
        k -> recall in [0, 1].
    at_1 : Estimate
        Recall at 1 with its 95 % interval over classes. The bounds are NaN for a single class.
    curve : tuple of CurvePoint
        For k from 1 to 1024 or the gallery's size.
    metrics : tuple of MetricMean
        The other metrics of retrieval.
    lone : int
        Number of queries without another image of their class.
    """

    recall: dict[int, float]
    at_1: Estimate
    curve: tuple[CurvePoint, ...]
    metrics: tuple[MetricMean, ...]
    lone: int


def summarize(scores: Scores, labels: NDArray[np.int64], ks: Sequence[int]) -> Summary:
    """Compute recall at k and the other retrieval metrics.

    Parameters
    ----------
    scores : Scores
        Ranks of N queries, each with all others as its gallery.
    labels : ndarray, int64, (N,)
        Class of each query.
    ks : sequence of int
        Ranks to report. Ranks from N on are left out. 1 is always included.

    Notes
    -----
    A query without another image of its class counts as a miss. Metrics that divide by R leave it out; see
    `gluon_lifted.metrics.retrieval.Scores`.
    """
    gallery = len(scores.first_rank) - 1
    used = shown_ks(ks, gallery)
    recall = {k: float(np.mean(scores.first_rank <= k)) for k in used}
    at_1 = ClassBootstrap(labels).interval(scores.recall_at_k(1))
    curve = tuple(
        CurvePoint(k, float(np.mean(scores.first_rank <= k)), chance_recall(scores.positives, gallery, k))
        for k in curve_ks(gallery)
    )
    metrics = tuple(_metric_mean(metric, scores) for metric in SHOWN_METRICS)
    return Summary(recall, at_1, curve, metrics, int((scores.positives == 0).sum()))


def shown_ks(ks: Sequence[int], gallery: int) -> list[int]:
    """Return 1 and the requested ranks that exist in a gallery of this size, ascending."""
    return sorted({1, *(k for k in ks if k <= gallery)})


def curve_ks(gallery: int) -> list[int]:
    """Return the ranks of the curve: all up to 16, then 8 per doubling, up to 1024 or the gallery's size."""
    last = min(gallery, CURVE_END)
    beyond = (round(16 * 2 ** (step / 8)) for step in range(1, 49))
    return sorted({k for k in (*range(1, 17), *beyond, last) if k <= last})


def chance_recall(positives: NDArray[np.int64], gallery: int, k: int) -> float:
    r"""Compute the expected recall at k if each gallery is in random order.

    Parameters
    ----------
    positives : ndarray, int64, (N,)
        Number of images of each query's class in its gallery.
    gallery : int
        Number of images in each gallery.
    k : int
        At most ``gallery``.

    Notes
    -----
    One minus the hypergeometric chance that k images drawn of G include none of R positives, averaged over the queries:

    .. math:: 1 - \frac1N \sum_q \binom{G - R_q}{k} \Big/ \binom{G}{k}

    Examples
    --------
    Two of four images are drawn, and one of the four is positive:

    >>> round(chance_recall(np.array([1]), gallery=4, k=2), 12)
    0.5
    """
    kinds, counts = np.unique(positives, return_counts=True)
    drawn = np.arange(k)
    # C(G - R, k) / C(G, k) = prod_i (G - R - i) / (G - i), where a factor below 0 counts as 0
    factors = np.maximum(gallery - kinds[:, None] - drawn, 0) / (gallery - drawn)
    return float(1 - (factors.prod(axis=1) * counts).sum() / counts.sum())


def _metric_mean(metric: RetrievalMetric, scores: Scores) -> MetricMean:
    values = metric.definition(scores)
    defined = values[~np.isnan(values)]
    return MetricMean(metric, float(defined.mean()) if len(defined) else float("nan"))


def class_lines(embeddings: Embeddings, scores: Scores, nearest_other: NDArray[np.int64] | None) -> list[ClassLine]:
    """Return all classes, the worst first. Ties are broken by size, then by name.

    Parameters
    ----------
    embeddings : Embeddings
        N rows.
    scores : Scores
        Ranks of all N rows as queries.
    nearest_other : ndarray, int64, (N,), optional
        Nearest row of another class.
    """
    lines, map_at_r = [], scores.map_at_r()
    for class_id, members in enumerate(members_of(embeddings)):
        hits = scores.first_rank[members] == 1
        missed = members[~hits & (scores.positives[members] > 0)]
        confused = None
        if nearest_other is not None and len(missed):
            wrong = np.bincount(embeddings.labels[nearest_other[missed]], minlength=len(embeddings.class_names))
            confused = embeddings.class_names[int(wrong.argmax())]
        lines.append(
            ClassLine(
                name=embeddings.class_names[class_id],
                images=len(members),
                recall=float(hits.mean()),
                map_at_r=float(map_at_r[members].mean()),
                sample=_most_typical(embeddings, members),
                confused=confused,
            )
        )
    return sorted(lines, key=lambda line: (line.recall, -line.images, line.name))


def members_of(embeddings: Embeddings) -> list[NDArray[np.intp]]:
    """Return the rows of each class, ascending."""
    order = np.argsort(embeddings.labels, kind="stable")
    return np.split(order, np.cumsum(embeddings.images_per_class())[:-1])


def _most_typical(embeddings: Embeddings, members: NDArray[np.intp]) -> int:
    """Return the row nearest to the mean of its class."""
    own = embeddings.embedding[members].astype(np.float64)
    return int(members[np.square(own - own.mean(axis=0)).sum(axis=1).argmin()])
