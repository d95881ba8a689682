"""Retrieval metrics against those of pytorch-metric-learning and open-metric-learning, recorded by record_peers.py."""

import json
from pathlib import Path

import numpy as np
import pytest

from gluon_lifted.metrics.ranking.search import Search
from gluon_lifted.metrics.retrieval import retrieval_scores
from tests.gluon_lifted.metrics.peer_cases import CASES, case, ranking

PEERS = json.loads(Path(__file__).with_name("peers.json").read_text())["cases"]
CLOSE = {"rel": 2e-6}  # some of theirs are means of float32


def scores(name):
    peer_case = case(name)
    if peer_case.gallery is None:
        search = Search.leave_one_out(peer_case.query, peer_case.query_labels)
    else:
        search = Search.query_gallery(
            peer_case.query, peer_case.query_labels, peer_case.gallery, peer_case.gallery_labels
        )
    return retrieval_scores(search, peer_case.space)


@pytest.mark.parametrize("name", CASES)
def test_pytorch_metric_learning(name):
    """It leaves queries without positives out of all means; here they count as misses where that is defined."""
    theirs, ours = PEERS[name]["pytorch-metric-learning"], scores(name)
    matched = ours.positives > 0
    assert (~matched).sum() == PEERS[name]["without a match"] > 0
    actual = {
        "precision_at_1": ours.precision_at_1()[matched].mean(),
        "mean_reciprocal_rank": ours.reciprocal_rank()[matched].mean(),
        "r_precision": np.nanmean(ours.r_precision()),
        "mean_average_precision_at_r": np.nanmean(ours.map_at_r()),
        "mean_average_precision": np.nanmean(ours.average_precision()),
    }
    assert actual == {metric: pytest.approx(theirs[metric], **CLOSE) for metric in actual}


@pytest.mark.parametrize("name", CASES)
def test_open_metric_learning(name):
    """Its cmc@k is recall@k with queries without positives as misses; its map@k over the whole gallery is mAP."""
    theirs, ours = PEERS[name]["open-metric-learning"], scores(name)
    for k in (1, 2, 5, 10, 50):
        assert ours.recall_at_k(k).mean() == pytest.approx(theirs["all"][f"cmc@{k}"], **CLOSE)
    whole = ranking(case(name)).shape[1]
    assert np.nanmean(ours.average_precision()) == pytest.approx(theirs["matched"][f"map@{whole}"], **CLOSE)
