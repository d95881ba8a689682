"""Record the results of pytorch-metric-learning and open-metric-learning for the peer cases in peers.json.

    python -m tests.gluon_lifted.metrics.record_peers

from the root of the repository, with a Python that has both packages. pytorch-metric-learning searches by itself, with
its own distances; open-metric-learning's metrics take a ranking, which is that of plain differences in float64.

Queries without any item of their class in the gallery: pytorch-metric-learning leaves them out of every mean.
open-metric-learning takes them into every mean, at 0 for cmc and map, at NaN (0/0) for precision. For it two means are
recorded: over all queries ("all", null where it is NaN), and over those that have a match ("matched").
open-metric-learning divides precision@k by min(k, matches in the gallery), and map@k by the matches among the k.
"""

from __future__ import annotations

import json
import math
from importlib.metadata import version
from pathlib import Path

import numpy as np
import torch
from oml.functional.metrics import calc_retrieval_metrics
from pytorch_metric_learning.distances import CosineSimilarity, LpDistance
from pytorch_metric_learning.utils.accuracy_calculator import AccuracyCalculator
from pytorch_metric_learning.utils.inference import CustomKNN

from gluon_lifted.files import replaced_file
from tests.gluon_lifted.metrics.peer_cases import (
    CASES,
    PeerCase,
    case,
    ranking,
)

KS = (1, 2, 5, 10, 50)


def pytorch_metric_learning(peer_case: PeerCase) -> dict[str, float]:
    """All that its calculator has, with the whole gallery as k."""
    distance = CosineSimilarity() if peer_case.space == "cosine" else LpDistance(normalize_embeddings=False)
    calculator = AccuracyCalculator(
        k=ranking(peer_case).shape[1],
        device=torch.device("cpu"),
        knn_func=CustomKNN(distance),
        kmeans_func=lambda *_: torch.from_numpy(peer_case.clusters),
    )
    arrays = (peer_case.query, peer_case.query_labels, peer_case.gallery, peer_case.gallery_labels)
    return {name: float(value) for name, value in sorted(calculator.get_accuracy(*arrays).items())}


def matches(peer_case: PeerCase) -> list[np.ndarray]:
    """Gallery rows of each query's class, itself not among them."""
    gallery_labels = peer_case.query_labels if peer_case.gallery_labels is None else peer_case.gallery_labels
    positives = [np.flatnonzero(gallery_labels == label) for label in peer_case.query_labels]
    if peer_case.gallery is None:
        positives = [rows[rows != query] for query, rows in enumerate(positives)]
    return positives


def open_metric_learning(peer_case: PeerCase) -> dict[str, dict[str, float | None]]:
    """cmc, precision and map at several k, the whole gallery the last."""
    order, positives = ranking(peer_case), matches(peer_case)
    ks = (*KS, order.shape[1])
    values = calc_retrieval_metrics(
        [torch.from_numpy(row) for row in order],
        [torch.from_numpy(rows) for rows in positives],
        cmc_top_k=ks,
        precision_top_k=ks,
        map_top_k=ks,
        reduce=False,
        verbose=False,
    )
    matched = np.array([len(rows) > 0 for rows in positives])
    of_query = {f"{name}@{k}": values[name][k].double().numpy() for name in ("cmc", "precision", "map") for k in ks}
    return {
        "all": {name: number(value.mean()) for name, value in of_query.items()},
        "matched": {name: number(value[matched].mean()) for name, value in of_query.items()},
    }


def number(value: float) -> float | None:
    return None if math.isnan(value) else float(value)


def main() -> None:
    packages = ("pytorch-metric-learning", "open-metric-learning", "torch", "scikit-learn", "numpy")
    peers = {
        "versions": {name: version(name) for name in packages},
        "precision": {
            "pytorch-metric-learning": "float64; mean_reciprocal_rank in float32: about 1e-6",
            "open-metric-learning": "float32 for each query: about 1e-6",
        },
        "cases": {},
    }
    for name in CASES:
        peer_case = case(name)
        peers["cases"][name] = {
            "queries": len(peer_case.query),
            "without a match": sum(len(rows) == 0 for rows in matches(peer_case)),
            "pytorch-metric-learning": pytorch_metric_learning(peer_case),
            "open-metric-learning": open_metric_learning(peer_case),
        }
    with replaced_file(Path(__file__).with_name("peers.json")) as path:
        path.write_text(json.dumps(peers, indent=1) + "\n")


if __name__ == "__main__":
    main()
