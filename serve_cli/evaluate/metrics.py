"""The metrics of `lifted eval` and `lifted report`: each one's name, meaning and definition, declared once.

A definition is a method of `Scores` or an attribute of `Clustering`; its formula is in the docstring there.
"""

from __future__ import annotations

from dataclasses import dataclass
from operator import attrgetter, methodcaller
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from gluon_lifted.metrics.clustering import Clustering
    from gluon_lifted.metrics.retrieval import Scores


RECALL_MEANING = "share of queries with at least one image of their class among the k nearest"


@dataclass(frozen=True)
class RetrievalMetric:
    """A mean over queries.

    Parameters
    ----------
    name : str
        As tables and JSON show it.
    meaning : str
        What it is for a query, in words.
    definition : callable
        Scores of Q queries -> their values, float64 in [0, 1], (Q,); NaN where it is undefined for a query.
    needs_all_positives : bool
        Whether the ranks of all positives must be known; otherwise that of the first is enough.
    """

    name: str
    meaning: str
    definition: Callable[[Scores], NDArray[np.float64]]
    needs_all_positives: bool = False


@dataclass(frozen=True)
class ClusterMetric:
    """A comparison of k-means clusters with the classes.

    Parameters
    ----------
    name : str
        As tables and JSON show it.
    meaning : str
        What it is, in words.
    definition : callable
        Clustering -> value, at most 1.
    """

    name: str
    meaning: str
    definition: Callable[[Clustering], float]


def recall_name(k: int) -> str:
    """The name of recall at k."""
    return f"R@{k}"


def recall_at(k: int) -> RetrievalMetric:
    """The metric recall at k."""
    return RetrievalMetric(recall_name(k), RECALL_MEANING, lambda scores: scores.recall_at_k(k))


MRR = RetrievalMetric("MRR", "1 / rank of the first right one", methodcaller("reciprocal_rank"))
R_PRECISION = RetrievalMetric(
    "R-precision", "share of right ones among the first R", methodcaller("r_precision"), needs_all_positives=True
)
MAP_AT_R = RetrievalMetric(
    "MAP@R",
    "precision at each right one of the first R, summed and divided by R",
    methodcaller("map_at_r"),
    needs_all_positives=True,
)
MAP = RetrievalMetric(
    "mAP", "precision at every right one, averaged", methodcaller("average_precision"), needs_all_positives=True
)

NMI = ClusterMetric("NMI", "mutual information over the arithmetic mean of the entropies", attrgetter("nmi"))
NMI_GEOMETRIC = ClusterMetric(
    "NMI (geometric)", "mutual information over the geometric mean of the entropies", attrgetter("nmi_geometric")
)
F1 = ClusterMetric("F1", "harmonic mean of precision and recall of pairs in one cluster", attrgetter("f1"))
AMI = ClusterMetric("AMI", "mutual information, adjusted for chance", attrgetter("ami"))
CLUSTER_METRICS = (NMI, NMI_GEOMETRIC, F1, AMI)


def retrieval_metrics(ks: Sequence[int], recall_only: bool = False) -> tuple[RetrievalMetric, ...]:
    """Recall at each k, then the other metrics; with ``recall_only``, only metrics of the first positive."""
    metrics = (*map(recall_at, ks), MRR, R_PRECISION, MAP_AT_R, MAP)
    return tuple(metric for metric in metrics if not (recall_only and metric.needs_all_positives))
