"""Learning rate over the iterations of a run."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gluon_lifted.config.train_config import TrainConfig


def learning_rate(config: TrainConfig, iteration: int) -> float:
    """Compute the learning rate of the backbone's weights for batch ``iteration``, counted from 0.

    Notes
    -----
    It is ``config.learning_rate`` times a factor. With t the iteration, T ``iterations`` and W ``warmup``:

    - during warm-up, t < W: (t + 1) / (W + 1), for every schedule;
    - ``constant``: 1;
    - ``linear``: (T - t) / (T - W);
    - ``cosine``: (1 + cos(pi (t - W) / (T - W))) / 2 (Loshchilov and Hutter 2017, eq. 5, without restarts);
    - ``step``: step_factor ^ floor(t / step_every), Caffe's lr_policy ``step``.
    """
    return config.learning_rate * _factor(config, iteration)


def _factor(config: TrainConfig, iteration: int) -> float:
    if iteration < config.warmup:
        return (iteration + 1) / (config.warmup + 1)
    if config.schedule == "step":
        return float(config.step_factor ** (iteration // config.step_every))
    done = (iteration - config.warmup) / max(1, config.iterations - config.warmup)
    if config.schedule == "linear":
        return 1 - done
    if config.schedule == "cosine":
        return (1 + math.cos(math.pi * done)) / 2
    return 1.0
