"""MultiSimilarityLoss: the hard pairs of each image, weighted by their cosine similarities."""

from __future__ import annotations

from typing import Any

from gluon_lifted.losses.distances import FAR, log_one_plus_sum_exp, masks, products, unit_rows
from gluon_lifted.losses.metric_loss import MetricLoss

# Wang et al., implementation details. Their research-ms-loss has beta 40 (ret_benchmark/config/defaults.py)
ALPHA, BETA, EPSILON = 2.0, 50.0, 0.1


class MultiSimilarityLoss(MetricLoss):
    r"""Multi-similarity loss (Wang, Han, Huang, Dong, Scott, CVPR 2019), in O(B²).

    With :math:`S_{ij}` the cosine of the rows i and j, the pairs that are harder than another pair of the image by
    less than :math:`\epsilon`,

    .. math::
        P_i &= \{ k \ne i : y_k = y_i,\; S_{ik} < \max_{y_j \ne y_i} S_{ij} + \epsilon \} \\
        N_i &= \{ k : y_k \ne y_i,\; S_{ik} > \min_{y_j = y_i, j \ne i} S_{ij} - \epsilon \}

    are weighted by:

    .. math::
        J = \frac{1}{B} \sum_i \Bigl( \frac{1}{\alpha} \log \bigl( 1 + \sum_{k \in P_i} e^{-\alpha (S_{ik} - \lambda)}
            \bigr) + \frac{1}{\beta} \log \bigl( 1 + \sum_{k \in N_i} e^{\beta (S_{ik} - \lambda)} \bigr) \Bigr)

    Parameters
    ----------
    margin : float
        The cosine :math:`\lambda` that positives should exceed and negatives should not. The authors' code has 0.5,
        as pytorch-metric-learning. The paper says 1.
    alpha, beta : float
        Weights of the positives' and the negatives' exponents.
    epsilon : float
        Tolerance of the choice of pairs, a cosine.

    Inputs
    ------
    embedding : (B, D) float32 or float64
        Normalized here. A row of zeros has the cosine 0 to all others, and gradient 0.
    label : (B,) or (B, 1), any numeric dtype
        Class of each row. Compared for equality in its own dtype.

    Outputs
    -------
    loss : (1,) of the embedding's dtype
        0, with gradient 0, for a batch without positives or without negatives.

    Notes
    -----
    The gradient treats the choice of pairs as constant. Duplicates are ordinary positives. The authors' code drops
    positives of cosine 1. NaN or infinity in the embedding gives NaN.

    Raises
    ------
    ConfigError
        If the margin is not a finite number.
    """

    def __init__(self, margin: float = 0.5, alpha: float = ALPHA, beta: float = BETA, epsilon: float = EPSILON) -> None:
        super().__init__(margin)
        self.alpha, self.beta, self.epsilon = float(alpha), float(beta), float(epsilon)

    def hybrid_forward(self, F: Any, embedding: Any, label: Any) -> Any:
        """Compute the loss of a batch: (1,)."""
        X = unit_rows(F, embedding)
        S = products(F, X, X)  # (B, B), as all below unless stated otherwise
        same, positive = masks(F, label, S)
        constant = F.BlockGrad(S)
        hardest_positive = F.min(constant + (1 - positive) * FAR, axis=1, keepdims=True)  # (B, 1); FAR without any
        hardest_negative = F.max(constant - same * FAR, axis=1, keepdims=True)
        positive = positive * F.broadcast_lesser(constant - self.epsilon, hardest_negative)
        negative = (1 - same) * F.broadcast_greater(constant + self.epsilon, hardest_positive)
        pull = log_one_plus_sum_exp(F, -self.alpha * (S - self.margin), positive) / self.alpha  # (B, 1)
        push = log_one_plus_sum_exp(F, self.beta * (S - self.margin), negative) / self.beta
        return F.mean(pull + push)
