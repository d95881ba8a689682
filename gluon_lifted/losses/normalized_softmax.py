"""NormalizedSoftmaxLoss: classification by the cosines of an image to a learned vector per class."""

from __future__ import annotations

import math
from typing import Any

from gluon_lifted.losses.distances import class_mask, products, row_sums, unit_rows
from gluon_lifted.losses.proxy_loss import ProxyLoss
from gluon_lifted.mx import mx

TEMPERATURE = 0.05  # Zhai and Wu, section 4.1; also the authors' and pytorch-metric-learning's default


class NormalizedSoftmaxLoss(ProxyLoss):
    r"""Normalized softmax (Zhai, Wu, "Classification is a strong baseline for deep metric learning", BMVC 2019), O(BC).

    With :math:`s_{ic}` the cosine of image i and the proxy of class c, and T the temperature:

    .. math::
        J = -\frac{1}{B} \sum_i \log
            \frac{e^{(s_{i y_i} - m) / T}}{e^{(s_{i y_i} - m) / T} + \sum_{c \ne y_i} e^{s_{ic} / T}}

    The paper has no margin: m = 0. With m > 0 it is the large-margin cosine loss (CosFace, Wang et al., CVPR 2018,
    eq. 4) of scale 1 / T.

    Parameters
    ----------
    margin : float
        The margin m, a cosine.
    num_classes, dim : int
        C and D.
    temperature : float
        The temperature T.

    Inputs
    ------
    embedding : (B, D) float32 or float64
        Normalized here, as the proxies are. A row of zeros has the cosine 0 to all proxies, and gradient 0.
    label : (B,) or (B, 1), any numeric dtype
        Class of each row, from 0 to C - 1.

    Outputs
    -------
    loss : (1,) of the embedding's dtype

    Notes
    -----
    The paper's layer normalization, before its embedding layer, belongs to the network. Neither the authors' loss
    nor pytorch-metric-learning's has it. Proxies are drawn from U(-1 / sqrt(D), 1 / sqrt(D)), as the authors' are.
    Their length does not affect the loss. NaN or infinity in the embedding gives NaN.

    Raises
    ------
    ConfigError
        If the margin is not a finite number, or a size is below 1.
    """

    def __init__(
        self, margin: float = 0.0, num_classes: int = 0, dim: int = 0, temperature: float = TEMPERATURE
    ) -> None:
        super().__init__(margin, num_classes, dim, mx.init.Uniform(1 / math.sqrt(max(1, dim))))
        self.temperature = float(temperature)

    def hybrid_forward(self, F: Any, embedding: Any, label: Any, proxies: Any) -> Any:
        """Compute the loss of a batch: (1,)."""
        S = products(F, unit_rows(F, embedding), unit_rows(F, proxies))  # (B, C), as below
        own = class_mask(F, label, embedding, proxies, S)
        log_share = F.log_softmax((S - self.margin * own) / self.temperature)
        return -F.mean(row_sums(F, own * log_share))
