"""One embedding -> what each query scores, metric by metric."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from gluon_lifted.errors import DataError
from gluon_lifted.metrics.clustering import PROTOCOLS, cluster_scores
from gluon_lifted.metrics.ranking.search import Search
from gluon_lifted.metrics.retrieval import NEVER, retrieval_scores
from serve_cli.progress import open_progress

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from gluon_lifted.metrics.retrieval import Scores
    from serve_cli.evaluate.eval_options import EvalOptions
    from serve_cli.evaluate.load import Labeled


log = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class Measured:
    """What the queries of one embedding score.

    Parameters
    ----------
    name : str
    dim : int
    labels : ndarray of str, (Q,)
        Of the queries.
    values : dict
        Metric -> (Q,) float64 in [0, 1]; NaN where it is undefined for a query.
    clusters : dict
        Metric -> value, of clusters of the whole embedding.
    population : int
        Images of which the queries are all, or a sample.
    gallery : int
        Images that a query is looked up among, without itself.
    alone : int
        Queries without another image of their class in the gallery.
    """

    name: str
    dim: int
    labels: NDArray[Any]
    values: dict[str, NDArray[np.float64]]
    population: int
    gallery: int
    alone: int
    clusters: dict[str, float] = field(default_factory=dict)

    @property
    def sampled(self) -> bool:
        """Whether the queries are a sample."""
        return len(self.labels) < self.population


def measure(found: Labeled, gallery: Labeled | None, options: EvalOptions) -> Measured:
    """Rank the positives of every query, and cluster if that is asked for.

    Raises
    ------
    DataError
        If there are too few images, and as `retrieval_scores`.
    MissingPackageError
        If clusters are asked for and scikit-learn is not installed.
    """
    if len(found.labels) < (2 if gallery is None else 1):
        raise DataError(
            f"{found.name}: recall needs at least 2 images, found {len(found.labels)} with an embedding; embed more, "
            "or look queries up in a --gallery."
        )
    clusters = _clusters(found, options)  # first: without scikit-learn nothing has been ranked in vain
    queries = _sample(len(found.labels), options)
    if gallery is None:
        search = Search.leave_one_out(found.embedding, found.labels, queries)
    else:
        search = Search.query_gallery(
            found.embedding[queries], found.labels[queries], gallery.embedding, gallery.labels
        )
    with open_progress(f"rank {found.name}", len(queries), "queries") as progress:
        scores = retrieval_scores(
            search,
            options.distance,
            options.recall_only,
            options.images.model_options.threads,
            lambda share: progress.update(round(share * len(queries))),
        )
    return Measured(
        found.name,
        found.embedding.shape[1],
        found.labels[queries],
        metrics_of(scores, options.ks, options.recall_only),
        len(found.labels),
        len(search.gallery) - (gallery is None),
        int((scores.first_rank == NEVER).sum()),
        clusters,
    )


def _sample(count: int, options: EvalOptions) -> NDArray[np.int64]:
    """Rows that are queries, ascending: all, or some drawn at random, each at most once."""
    if options.queries is None or options.queries >= count:
        return np.arange(count)
    return np.sort(np.random.default_rng(options.seed).choice(count, options.queries, replace=False))


def metrics_of(scores: Scores, ks: tuple[int, ...], recall_only: bool) -> dict[str, NDArray[np.float64]]:
    """Metrics by the names that tables show, each (Q,)."""
    values = {f"R@{k}": scores.recall_at_k(k) for k in ks}
    values["MRR"] = scores.reciprocal_rank()
    if not recall_only:
        values |= {
            "R-precision": scores.r_precision(),
            "MAP@R": scores.map_at_r(),
            "mAP": scores.average_precision(),
        }
    return values


def _clusters(found: Labeled, options: EvalOptions) -> dict[str, float]:
    if options.clustering is None:
        return {}
    log.info("eval: k-means of %s images of %s ...", f"{len(found.labels):,}", found.name)
    protocol = PROTOCOLS[options.clustering]
    scored = cluster_scores(found.embedding, found.labels, options.seed, protocol)
    return {"NMI": scored.nmi, "NMI (geometric)": scored.nmi_geometric, "F1": scored.f1, "AMI": scored.ami}
