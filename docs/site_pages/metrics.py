"""The reference of metrics, from their declarations."""

from serve_cli.evaluate.metrics import CLUSTER_METRICS, RANK_METRICS, recall_at
from site_pages.tables import table

MEASURES = "gluon_lifted.metrics.retrieval.Scores"
PARTITIONS = "gluon_lifted.metrics.partitions"


def metrics_reference():
    """Write tables of all metrics, and their formulas."""
    recall = [["R@k", recall_at(1).meaning]]
    ranks = table(["metric", "value of a query"], recall + [[metric.name, metric.meaning] for metric in RANK_METRICS])
    clusters = table(["metric", "meaning"], [[metric.name, metric.meaning] for metric in CLUSTER_METRICS])
    formulas = [f".. autoclass:: {MEASURES}\n   :members:\n   :no-index:"]
    formulas += [f".. autofunction:: {PARTITIONS}.{name}\n   :no-index:" for name in ("nmi", "pairwise_f1", "ami")]
    rendered = "\n\n".join(f"```{{eval-rst}}\n{formula}\n```" for formula in formulas)
    return (
        f"## All metrics\n\n{ranks}\n"
        f"With `--clustering`, for k-means clusters:\n\n{clusters}\n"
        f"## Formulas\n\n{rendered}\n"
    )
