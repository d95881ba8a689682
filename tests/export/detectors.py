"""Detection networks of GluonCV with random weights; import only where MXNet is known to be installed."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

import numpy as np

from gluon_lifted.contract import SavedNetwork
from gluon_lifted.mx import gluoncv_zoo, mx, nd

if TYPE_CHECKING:
    from pathlib import Path


def random_detector(
    name: str, images: np.ndarray, nms: tuple[float, int] | None = None, *, magnitude: float = 2, **options: Any
) -> Any:
    """Create a detector whose weights and statistics are no defaults; ``nms`` is overlap and number of candidates.

    A smaller ``magnitude`` of the weights keeps the scores of deep networks finite and apart.
    """
    rng = np.random.default_rng(0)
    mx.random.seed(0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        network = gluoncv_zoo().get_model(name, pretrained=False, pretrained_base=False, **options)
    network.initialize(force_reinit=True)
    weights = mx.init.Xavier(rnd_type="gaussian", factor_type="in", magnitude=magnitude)
    network.collect_params(".*weight").initialize(weights, force_reinit=True)
    if nms is not None:
        network.set_nms(*nms)
    network.hybridize()
    network(nd.array(images[:1]))  # shapes
    for parameter, statistic in network.collect_params(".*(gamma|beta|_mean|_var)").items():
        middle = float(parameter.endswith(("gamma", "_var")))
        statistic.set_data(nd.array(rng.uniform(middle - 0.3, middle + 0.3, statistic.shape)))
    if hasattr(network, "heatmap_nms"):  # of CenterNet: scores of 1 are equal, and MXNet leaves their order open
        for weight in network.heads[0].collect_params(".*weight").values():
            weight.set_data(weight.data() / 40)
    if hasattr(network, "class_predictors"):  # of SSD, whose scores would be 1, too
        for weight in network.class_predictors.collect_params(".*weight").values():
            weight.set_data(weight.data() / 40)
    return network


def save_detector(network: Any, images: np.ndarray, folder: Path) -> tuple[SavedNetwork, list[np.ndarray]]:
    """Write the two files; return them and MXNet's outputs: classes, scores and boxes of each image."""
    outputs = [output.asnumpy() for output in network(nd.array(images))]
    network.export(str(folder / "detector"))
    return SavedNetwork(folder / "detector-symbol.json", folder / "detector-0000.params"), outputs
