"""ProxyAnchorLoss: the proxy of each class against all images of a batch."""

from __future__ import annotations

import math
from typing import Any

from gluon_lifted.losses.distances import class_mask, log_one_plus_sum_exp, products, row_sums, unit_rows
from gluon_lifted.losses.proxy_loss import ProxyLoss
from gluon_lifted.mx import mx

SCALE = 32.0  # Kim et al., section 4.1


class ProxyAnchorLoss(ProxyLoss):
    r"""Proxy-anchor loss (Kim, Kim, Cho, Kwak, CVPR 2020, eq. 4), in O(BC).

    With P the proxies of the C classes, :math:`P^+` the proxies of the batch's classes, :math:`X_p^+` and
    :math:`X_p^-` the images of the class of p and of other classes, and s the cosine:

    .. math::
        J = \frac{1}{|P^+|} \sum_{p \in P^+} \log \Bigl( 1 + \sum_{x \in X_p^+} e^{-\alpha (s(x,p) - \delta)} \Bigr)
            + \frac{1}{|P|} \sum_{p \in P} \log \Bigl( 1 + \sum_{x \in X_p^-} e^{\alpha (s(x,p) + \delta)} \Bigr)

    Parameters
    ----------
    margin : float
        The margin :math:`\delta`, a cosine. The paper's is 0.1.
    num_classes, dim : int
        C and D.
    scale : float
        The factor :math:`\alpha`.

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
    Proxies are drawn from N(0, 2 / C), as the authors' ``kaiming_normal_(mode="fan_out")``. Their length does not
    affect the loss. NaN or infinity in the embedding gives NaN.

    Raises
    ------
    ConfigError
        If the margin is not a finite number, or a size is below 1.
    """

    def __init__(self, margin: float = 0.1, num_classes: int = 0, dim: int = 0, scale: float = SCALE) -> None:
        super().__init__(margin, num_classes, dim, mx.init.Normal(math.sqrt(2 / max(1, num_classes))))
        self.scale = float(scale)

    def hybrid_forward(self, F: Any, embedding: Any, label: Any, proxies: Any) -> Any:
        """Compute the loss of a batch: (1,)."""
        S = products(F, unit_rows(F, proxies), unit_rows(F, embedding))  # (C, B), as all below unless stated otherwise
        positive = F.transpose(class_mask(F, label, embedding, proxies, F.transpose(S)))
        pull = log_one_plus_sum_exp(F, -self.scale * (S - self.margin), positive)  # (C, 1); 0 without images
        push = log_one_plus_sum_exp(F, self.scale * (S + self.margin), 1 - positive)
        with_images = F.maximum(F.sum(F.sign(row_sums(F, positive))), 1.0)  # (1,)
        return F.sum(pull) / with_images + F.mean(push)
