"""ProxyLoss: base class of the losses that compare embeddings with a learned vector per class."""

from __future__ import annotations

from typing import Any

from gluon_lifted.errors import ConfigError
from gluon_lifted.losses.metric_loss import MetricLoss


class ProxyLoss(MetricLoss):
    """A loss with a proxy per class: a vector that is trained with the network and not exported.

    Parameters
    ----------
    margin : float
        Finite.
    num_classes, dim : int
        C and D: classes to train on, and width of the embedding.
    init : mx.init.Initializer
        Draws the proxies.

    Raises
    ------
    ConfigError
        If the margin is not a finite number, or a size is below 1.
    """

    def __init__(self, margin: float, num_classes: int, dim: int, init: Any) -> None:
        super().__init__(margin)
        if num_classes < 1 or dim < 1:
            raise ConfigError(
                f"{type(self).__name__} got num_classes {num_classes} and dim {dim}; expected at least 1 each. It has "
                "one proxy of this width per class."
            )
        with self.name_scope():
            self.proxies = self.params.get("proxies", shape=(num_classes, dim), init=init)  # (C, D)
