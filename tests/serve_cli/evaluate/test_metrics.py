import numpy as np

from gluon_lifted.metrics.ranking.search import Search
from gluon_lifted.metrics.retrieval import retrieval_scores
from serve_cli.evaluate.metrics import CLUSTER_METRICS, retrieval_metrics

LINE = Search.leave_one_out([[0.0], [1.0], [3.0], [3.6], [4.0]], [0, 0, 0, 1, 1])


def test_metrics_by_name():
    metrics = {metric.name: metric.definition(retrieval_scores(LINE)) for metric in retrieval_metrics((1, 4))}
    assert list(metrics) == ["R@1", "R@4", "MRR", "R-precision", "MAP@R", "mAP"]
    np.testing.assert_array_equal(metrics["R@1"], [1, 1, 0, 1, 1])
    np.testing.assert_array_equal(metrics["R@4"], np.ones(5))
    np.testing.assert_allclose(metrics["MRR"], [1, 1, 1 / 3, 1, 1])


def test_the_first_positive_is_enough_for_recall_and_mrr():
    scores = retrieval_scores(LINE, only_first=True)
    metrics = retrieval_metrics((2,), recall_only=True)
    assert [metric.name for metric in metrics] == ["R@2", "MRR"]
    assert all(metric.definition(scores).shape == (5,) for metric in metrics)


def test_every_metric_has_a_name_of_its_own_and_a_meaning():
    metrics = (*retrieval_metrics((1, 2)), *CLUSTER_METRICS)
    assert len({metric.name for metric in metrics}) == len(metrics)
    assert all(metric.meaning for metric in metrics)
