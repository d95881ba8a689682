"""The numbers of a report: recall at k, other measures of retrieval, and recall of each class."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from serve_cli.evaluate.measure import metrics_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from gluon_lifted.metrics.retrieval import Scores
    from serve_cli.report.rows import Rows

MEANINGS = {
    "MAP@R": "precision at each right one of the first R, summed and divided by R",
    "R-precision": "share of right ones among the first R",
    "MRR": "1 / rank of the first right one",
    "mAP": "precision at every right one, averaged",
}
CURVE_END = 1024  # the curve's largest k; recall says little beyond


class Measure(NamedTuple):
    """A mean over the queries for which it is defined; in [0, 1], NaN if there are none."""

    name: str
    value: float
    meaning: str


class CurvePoint(NamedTuple):
    """Recall at k, and what a random order of the images would give."""

    k: int
    recall: float
    chance: float


class ClassLine(NamedTuple):
    """A class: its name, its images, the share found at rank 1, their mean MAP@R (NaN for a lone image).

    ``sample`` is the row nearest to the class's mean; ``confused`` names the class that most of its misses have at
    rank 1, where that is known.
    """

    name: str
    images: int
    recall: float
    map_at_r: float
    sample: int
    confused: str | None


@dataclass(frozen=True)
class Summary:
    """What the queries found.

    Parameters
    ----------
    recall : dict
        k -> recall in [0, 1].
    curve : tuple of CurvePoint
        For k = 1 ... 1024, as far as there are images.
    measures : tuple of Measure
    lone : int
        Queries without another image of their class.
    """

    recall: dict[int, float]
    curve: tuple[CurvePoint, ...]
    measures: tuple[Measure, ...]
    lone: int


def summarize(scores: Scores, ks: Sequence[int]) -> Summary:
    """Recall at k and its companions.

    Parameters
    ----------
    scores : Scores
        Of N queries, each with all others as its gallery.
    ks : sequence of int
        Ranks to report; those of N and more are left out, 1 is always there.

    Notes
    -----
    A query without another image of its class is a miss, and has no part in the measures that divide by R: as
    `gluon_lifted.metrics.retrieval.Scores` defines them.
    """
    gallery = len(scores.first_rank) - 1
    used = sorted({1, *(k for k in ks if k <= gallery)})
    recall = {k: float(np.mean(scores.first_rank <= k)) for k in used}
    curve = tuple(
        CurvePoint(k, float(np.mean(scores.first_rank <= k)), chance_recall(scores.positives, gallery, k))
        for k in curve_ks(gallery)
    )
    return Summary(recall, curve, _measures(scores), int((scores.positives == 0).sum()))


def curve_ks(gallery: int) -> list[int]:
    """Ranks to draw the curve at: all up to 16, then 8 a doubling, up to 1024 or the gallery's size."""
    last = min(gallery, CURVE_END)
    beyond = (round(16 * 2 ** (step / 8)) for step in range(1, 49))
    return sorted({k for k in (*range(1, 17), *beyond, last) if k <= last})


def chance_recall(positives: NDArray[np.int64], gallery: int, k: int) -> float:
    r"""Expected recall at k if each query's gallery came in a random order.

    Parameters
    ----------
    positives : ndarray, int64, (N,)
        Images of each query's class in its gallery.
    gallery : int
        Images in each gallery, at least k.
    k : int

    Notes
    -----
    The hypergeometric chance that none of R positives is among k drawn of G, averaged over the queries:

    .. math:: 1 - \frac1N \sum_q \binom{G - R_q}{k} \Big/ \binom{G}{k}

    Examples
    --------
    One of four is right, and two are drawn:

    >>> round(chance_recall(np.array([1]), gallery=4, k=2), 12)
    0.5
    """
    kinds, counts = np.unique(positives, return_counts=True)
    drawn = np.arange(k)
    # C(G - R, k) / C(G, k) = prod_i (G - R - i) / (G - i); 0 from the first factor that is not above 0 on
    factors = np.maximum(gallery - kinds[:, None] - drawn, 0) / (gallery - drawn)
    return float(1 - (factors.prod(axis=1) * counts).sum() / counts.sum())


def _measures(scores: Scores) -> tuple[Measure, ...]:
    values = metrics_of(scores, (), recall_only=False)
    return tuple(Measure(name, _mean(values[name]), meaning) for name, meaning in MEANINGS.items())


def _mean(values: NDArray[np.float64]) -> float:
    """Of the queries for which it is defined."""
    defined = values[~np.isnan(values)]
    return float(defined.mean()) if len(defined) else float("nan")


def class_lines(rows: Rows, scores: Scores, nearest_other: NDArray[np.int64] | None) -> list[ClassLine]:
    """All classes, the worst first; of equals the larger one, then by name.

    Parameters
    ----------
    rows : Rows
        N rows.
    scores : Scores
    nearest_other : ndarray, int64, (N,), optional
        The nearest row of another class.
    """
    lines, map_at_r = [], scores.map_at_r()
    for number, members in enumerate(members_of(rows)):
        hits = scores.first_rank[members] == 1
        missed = members[~hits & (scores.positives[members] > 0)]
        confused = None
        if nearest_other is not None and len(missed):
            wrong = np.bincount(rows.classes[nearest_other[missed]], minlength=len(rows.names))
            confused = rows.names[int(wrong.argmax())]
        lines.append(
            ClassLine(
                rows.names[number],
                len(members),
                float(hits.mean()),
                float(map_at_r[members].mean()),
                _most_typical(rows, members),
                confused,
            )
        )
    return sorted(lines, key=lambda line: (line.recall, -line.images, line.name))


def members_of(rows: Rows) -> list[NDArray[np.intp]]:
    """The rows of each class, ascending."""
    order = np.argsort(rows.classes, kind="stable")
    return np.split(order, np.cumsum(rows.images_per_class())[:-1])


def _most_typical(rows: Rows, members: NDArray[np.intp]) -> int:
    """The row nearest to the mean of its class."""
    own = rows.embedding[members].astype(np.float64)
    return int(members[np.square(own - own.mean(axis=0)).sum(axis=1).argmin()])
