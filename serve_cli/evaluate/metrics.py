"""The metrics of `lifted eval` and `lifted report`: name, meaning and definition of each.

A definition is a method of `Scores` or an attribute of `Clustering`, whose docstring has the formula. Help texts are
made from the meanings, so this module imports nothing heavy.
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
        Value of a query, in words. R is the number of other images of its class.
    definition : callable
        Scores of Q queries -> their values, float64 in [0, 1], (Q,); NaN where the metric is undefined for a query.
    needs_all_positives : bool
        Whether the ranks of all positives must be known, not only the first.
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
        Explanation in words.
    definition : callable
        Clustering -> value, at most 1.
    """

    name: str
    meaning: str
    definition: Callable[[Clustering], float]


def recall_name(k: int) -> str:
    """Return the name of recall at k."""
    return f"R@{k}"


def recall_at(k: int) -> RetrievalMetric:
    """Make the metric recall at k."""
    return RetrievalMetric(recall_name(k), RECALL_MEANING, lambda scores: scores.recall_at_k(k))


MRR = RetrievalMetric("MRR", "1 / rank of the first image of the query's class", methodcaller("reciprocal_rank"))
R_PRECISION = RetrievalMetric(
    "R-precision",
    "share of images of the query's class among the R nearest",
    methodcaller("r_precision"),
    needs_all_positives=True,
)
MAP_AT_R = RetrievalMetric(
    "MAP@R",
    "precision at each image of the query's class among the R nearest, summed and divided by R",
    methodcaller("map_at_r"),
    needs_all_positives=True,
)
MAP = RetrievalMetric(
    "mAP",
    "precision at every image of the query's class, averaged",
    methodcaller("average_precision"),
    needs_all_positives=True,
)
RANK_METRICS = (MRR, R_PRECISION, MAP_AT_R, MAP)

NMI = ClusterMetric("NMI", "mutual information over the arithmetic mean of the entropies", attrgetter("nmi"))
NMI_GEOMETRIC = ClusterMetric(
    "NMI (geometric)", "mutual information over the geometric mean of the entropies", attrgetter("nmi_geometric")
)
F1 = ClusterMetric("F1", "harmonic mean of precision and recall of pairs in one cluster", attrgetter("f1"))
AMI = ClusterMetric("AMI", "mutual information, adjusted for chance", attrgetter("ami"))
CLUSTER_METRICS = (NMI, NMI_GEOMETRIC, F1, AMI)


def retrieval_metrics(ks: Sequence[int], *, recall_only: bool = False) -> tuple[RetrievalMetric, ...]:
    """Return recall at each k, then the other metrics. With ``recall_only``, only metrics of the first positive."""
    metrics = (*map(recall_at, ks), *RANK_METRICS)
    return tuple(metric for metric in metrics if not (recall_only and metric.needs_all_positives))
