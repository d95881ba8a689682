"""Train the proxies of a loss with the network: same optimizer, own rate, and gradients that add up correctly."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gluon_lifted.losses import MetricLoss


def set_proxy_rates(loss: MetricLoss, rate_mult: float) -> None:
    """Set the learning-rate multiplier of proxies, and exclude them from weight decay.

    The loss does not depend on their length, so decay would not regularize them. In Adam, whose steps do not depend
    on the gradient's size, it would dominate where the gradient of a class is almost 0.
    """
    for parameter in loss.collect_params().values():
        parameter.lr_mult, parameter.wd_mult = rate_mult, 0.0


def share_proxy_gradient(loss: MetricLoss, scale: float) -> None:
    """Scale the gradient of proxies, which the first device has computed, and clear it on all other devices.

    Every host computes the loss of the entire batch, and the optimizer sums gradients over devices and hosts. So only
    the first device of one host contributes, and all receive the same sum, bit for bit.

    Parameters
    ----------
    loss : MetricLoss
        Differentiated on the first of its devices. Without proxies nothing happens.
    scale : float
        The gradient scale of mixed precision; 0 on all hosts but one.
    """
    for parameter in loss.collect_params().values():
        first, *others = parameter.list_grad()
        first *= scale
        for gradient in others:
            gradient[:] = 0
        for copy in parameter.list_data():
            copy._fresh_grad = True  # Gluon refuses to update from gradients that no backward pass has written
