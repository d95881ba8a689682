"""Record what pytorch-metric-learning computes for a batch, in peers.json.

    python -m tests.gluon_lifted.losses.record_peers

from the root of the repository, with a Python that has pytorch-metric-learning. All is computed in float64.
"""

from __future__ import annotations

import json
from importlib.metadata import version
from pathlib import Path

import numpy as np
import torch
from pytorch_metric_learning.losses import MultiSimilarityLoss, NormalizedSoftmaxLoss, ProxyAnchorLoss
from pytorch_metric_learning.miners import MultiSimilarityMiner

from gluon_lifted.files import replaced_file

ROWS, CLASSES, DIM = 12, 6, 4


def recorded(loss, embedding, proxies=None):
    """Value and gradients; ``proxies`` are the parameter and its orientation."""
    loss.backward()
    result = {"loss": loss.item(), "gradient": embedding.grad.tolist()}
    if proxies is not None:
        result["proxy_gradient"] = proxies.grad.tolist()
    return result


def multi_similarity(x, _, label):
    embedding = torch.tensor(x, requires_grad=True)
    pairs = MultiSimilarityMiner(epsilon=0.1)(embedding, label)
    return recorded(MultiSimilarityLoss(alpha=2, beta=50, base=0.5)(embedding, label, pairs), embedding)


def proxy_anchor(x, proxies, label):
    embedding = torch.tensor(x, requires_grad=True)
    loss = ProxyAnchorLoss(CLASSES, DIM, margin=0.1, alpha=32)
    loss.proxies.data = torch.tensor(proxies)
    return recorded(loss(embedding, label), embedding, loss.proxies)


def normalized_softmax(x, proxies, label):
    embedding, own = torch.tensor(x, requires_grad=True), torch.tensor(proxies, requires_grad=True)
    loss = NormalizedSoftmaxLoss(CLASSES, DIM, temperature=0.05)
    del loss.W
    loss.W = own.T  # it keeps its proxies in columns
    loss.cast_types = lambda *_: None
    return recorded(loss(embedding, label), embedding, own)


def main() -> None:
    torch.set_default_dtype(torch.float64)
    rng = np.random.default_rng(0)
    x, proxies = rng.integers(-9, 10, (ROWS, DIM)) / 4, rng.integers(-9, 10, (CLASSES, DIM)) / 4
    label = rng.integers(0, CLASSES, ROWS)
    losses = {
        "multi-similarity": multi_similarity,
        "proxy-anchor": proxy_anchor,
        "normalized-softmax": normalized_softmax,
    }
    record = {
        "versions": {name: version(name) for name in ("pytorch-metric-learning", "torch")},
        "embedding": x.tolist(),
        "proxies": proxies.tolist(),
        "label": label.tolist(),
        "losses": {name: function(x, proxies, torch.tensor(label)) for name, function in losses.items()},
    }
    with replaced_file(Path(__file__).with_name("peers.json")) as temporary:
        temporary.write_text(json.dumps(record, indent=1) + "\n")


if __name__ == "__main__":
    main()
