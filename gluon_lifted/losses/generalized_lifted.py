"""GeneralizedLiftedStructureLoss: each image against all its positives and all its negatives."""

from __future__ import annotations

from typing import Any

from gluon_lifted.losses.distances import (
    FAR,
    centered,
    distances,
    log_sum_exp,
    masks,
    row_sums,
    squared_distances,
    sum_of_products,
)
from gluon_lifted.losses.metric_loss import MetricLoss


class GeneralizedLiftedStructureLoss(MetricLoss):
    r"""Generalized lifted structured loss (Hermans, Beyer, Leibe, "In defense of the triplet loss", 2017), in O(B²).

    With :math:`D_{ij} = \lVert x_i - x_j \rVert` (Euclidean, not squared), P(a) the other images of the label of a,
    N(a) those of other labels, and A the images that have both:

    .. math::
        J = \frac{1}{|A|} \sum_{a \in A} \max\Bigl(0, \log \sum_{p \in P(a)} e^{D_{ap}}
            + \log \sum_{n \in N(a)} e^{\alpha - D_{an}} \Bigr)

    Hermans et al. sum over the images. The mean keeps the learning rate independent of the batch size.
    pytorch-metric-learning also takes the mean. Up to version 2.9 it includes images without positives, whose missing
    logarithm counts as 0.
    Unlike the lifted structured loss it is per image, not per pair, and its hinge is not squared.

    Parameters
    ----------
    margin : float
        The margin :math:`\alpha`, in units of distance.

    Inputs
    ------
    embedding : (B, D) float32 or float64
    label : (B,) or (B, 1), any numeric dtype
        Class of each row. Compared for equality in its own dtype.

    Outputs
    -------
    loss : (1,) of the embedding's dtype
        0, with gradient 0, for a batch without positives or without negatives.

    Notes
    -----
    The gradient of a distance of 0 is taken as 0. Distances are as accurate as those of `LiftedStructureLoss`.
    NaN or infinity in the embedding gives NaN.

    Raises
    ------
    ConfigError
        If the margin is not a finite number.
    """

    def hybrid_forward(self, F: Any, embedding: Any, label: Any) -> Any:
        """Compute the loss of a batch: (1,)."""
        D = distances(F, squared_distances(F, centered(F, embedding)))  # (B, B)
        same, positive = masks(F, label, D)
        pull, _ = log_sum_exp(F, D - (1 - positive) * FAR)  # (B, 1), as all below; -FAR without positives
        push, _ = log_sum_exp(F, same * -FAR - D)
        hinge = F.relu(pull + push + self.margin)
        has_positive, has_negative = F.sign(row_sums(F, positive)), F.sign(row_sums(F, 1 - same))
        anchors = F.maximum(sum_of_products(F, has_positive, has_negative), 1.0)  # (1,)
        return sum_of_products(F, hinge, F.ones_like(hinge)) / anchors
