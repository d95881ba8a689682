"""Step 3 of `lifted eval`: compute metrics with intervals, and paired differences, from rankings."""

from __future__ import annotations

import logging
import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from gluon_lifted.metrics.bootstrap import ClassBootstrap, Estimate
from gluon_lifted.metrics.clustering import PROTOCOLS, cluster_scores
from gluon_lifted.metrics.intervals import wilson
from gluon_lifted.metrics.retrieval import NEVER
from serve_cli.evaluate.eval_report import Difference, Result
from serve_cli.evaluate.metrics import CLUSTER_METRICS, retrieval_metrics

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from serve_cli.embeddings.reader import Embeddings
    from serve_cli.evaluate.eval_options import EvalOptions
    from serve_cli.evaluate.read import EvalInputs
    from serve_cli.evaluate.search import Ranking


log = logging.getLogger(__name__)


class _QueryValues(NamedTuple):
    """Metric -> value of each query, (Q,) float64, and labels of the queries, (Q,) int64."""

    values: dict[str, NDArray[np.float64]]
    labels: NDArray[np.int64]


def measure(
    inputs: EvalInputs, rankings: Sequence[Ranking], options: EvalOptions
) -> tuple[tuple[Result, ...], tuple[Difference, ...]]:
    """Average the metrics over queries, and cluster if requested.

    Parameters
    ----------
    rankings : sequence of Ranking
        One per source.

    Returns
    -------
    tuple
        Metrics of each source, and paired differences if all have the same images.
    """
    metrics = retrieval_metrics(options.ks, recall_only=options.recall_only)
    queries = [
        _QueryValues(
            {metric.name: metric.definition(ranking.scores) for metric in metrics}, source.labels[ranking.queries]
        )
        for source, ranking in zip(inputs.sources, rankings, strict=True)
    ]
    results = tuple(
        _result(source, ranking, values, options)
        for source, ranking, values in zip(inputs.sources, rankings, queries, strict=True)
    )
    if not inputs.paired:
        return results, ()
    bootstrap = ClassBootstrap(queries[0].labels, seed=options.seed)
    differences = tuple(
        Difference(
            results[ours].name,
            results[than].name,
            {name: bootstrap.difference(own, queries[than].values[name]) for name, own in queries[ours].values.items()},
        )
        for ours, than in _pairs(len(results), has_pixels=options.baseline)
    )
    return results, differences


def _pairs(sources: int, *, has_pixels: bool) -> list[tuple[int, int]]:
    """Return which sources to compare: each later one minus the first, and the first minus raw pixels, the last."""
    last = sources - 1
    models = range(1, last if has_pixels else sources)
    return [*((ours, 0) for ours in models), *([(0, last)] if has_pixels else [])]


def _result(source: Embeddings, ranking: Ranking, queries: _QueryValues, options: EvalOptions) -> Result:
    bootstrap = ClassBootstrap(queries.labels, seed=options.seed)
    estimates = {name: bootstrap.interval(values) for name, values in queries.values.items()}
    if len(ranking.queries) < len(source):
        estimates = {
            name: _estimate_of_sample(estimate, len(ranking.queries), len(source))
            for name, estimate in estimates.items()
        }
    return Result(
        name=source.name,
        dim=source.embedding.shape[1],
        metrics=estimates | _cluster(source, options),
        queries=len(ranking.queries),
        classes=len(np.unique(queries.labels)),
        gallery=ranking.gallery_size,
        alone=int((ranking.scores.first_rank == NEVER).sum()),
    )


def _estimate_of_sample(estimate: Estimate, sample: int, population: int) -> Estimate:
    """Return the interval of the mean over all queries, given that of a sample."""
    if math.isnan(estimate.value):
        return estimate
    return Estimate(estimate.value, *wilson(estimate.value, sample, population))


def _cluster(source: Embeddings, options: EvalOptions) -> dict[str, Estimate]:
    """Compute the metrics of k-means clusters of all rows, without intervals. Empty unless requested."""
    if options.clustering is None:
        return {}
    log.info("eval: k-means of %s images of %s ...", f"{len(source):,}", source.name)
    clustering = cluster_scores(source.embedding, source.labels, options.seed, PROTOCOLS[options.clustering])
    return {metric.name: Estimate(metric.definition(clustering), math.nan, math.nan) for metric in CLUSTER_METRICS}
