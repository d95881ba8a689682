"""MetricLoss: base class of all losses."""

from __future__ import annotations

import math

from gluon_lifted.errors import ConfigError
from gluon_lifted.mx import HybridBlock


class MetricLoss(HybridBlock):
    """A loss of a batch's embeddings and labels: (B, D), (B,) -> (1,).

    Parameters
    ----------
    margin : float
        Finite. Its meaning depends on the loss.

    Raises
    ------
    ConfigError
        If the margin is not a finite number.
    """

    def __init__(self, margin: float = 1.0) -> None:
        if not math.isfinite(margin):
            raise ConfigError(f"the margin of {type(self).__name__} is {margin}; expected a finite number.")
        super().__init__(prefix="loss_")  # without Gluon's process-wide counter
        self.margin = float(margin)
