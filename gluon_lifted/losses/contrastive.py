"""Contrastive losses: pull equal labels together and push different labels a margin apart."""

from __future__ import annotations

from typing import Any

from gluon_lifted.losses.distances import (
    centered,
    distances,
    indicator,
    label_vector,
    masks,
    squared_distances,
    sum_of_products,
    sum_of_squares,
)
from gluon_lifted.losses.metric_loss import MetricLoss


class ContrastiveLoss(MetricLoss):
    r"""Contrastive loss of disjoint pairs (Hadsell, Chopra, LeCun, CVPR 2006, as Song et al. 2016 write it, eq. 1).

    Rows i and i + B/2 of a batch of B images are pair i; :math:`y_i` is 1 where their labels are equal, else 0:

    .. math:: J = \frac{1}{B} \sum_{i=1}^{B/2} y_i D_i^2 + (1 - y_i) \max(0, \alpha - D_i)^2

    with D the Euclidean distance. It is half the mean over the pairs, as in Caffe's layer.

    Parameters
    ----------
    margin : float
        The margin :math:`\alpha`, in units of distance. The paper's is 1.

    Inputs
    ------
    embedding : (B, D) float32 or float64
        B is even. MXNet refuses to split an odd batch.
    label : (B,) or (B, 1), any numeric dtype
        Class of each row. Compared for equality in its own dtype.

    Outputs
    -------
    loss : (1,) of the embedding's dtype

    Notes
    -----
    The gradient of a distance of 0 is taken as 0. NaN in the embedding gives NaN, infinity NaN or infinity.

    Raises
    ------
    ConfigError
        If the margin is not a finite number.
    """

    def hybrid_forward(self, F: Any, embedding: Any, label: Any) -> Any:
        """Compute the loss of a batch: (1,)."""
        left, right = F.split(embedding, num_outputs=2, axis=0)  # (B/2, D) each
        left_label, right_label = F.split(label_vector(F, label, embedding), num_outputs=2, axis=0)
        D2 = F.sum(F.square(left - right), axis=1)  # (B/2,)
        y = indicator(F, F.broadcast_equal(left_label, right_label), D2)
        hinge = F.relu(self.margin - distances(F, D2))
        return F.mean(y * D2 + (1 - y) * F.square(hinge)) / 2


class AllPairsContrastiveLoss(MetricLoss):
    r"""Contrastive loss of all pairs of a batch, positives and negatives in equal shares, in O(B²).

    With P the pairs i < j of equal label, N those of different label, and D the Euclidean distance:

    .. math::
        J = \frac{1}{2} \Bigl( \frac{1}{2} \cdot \frac{1}{|P|} \sum_{(i,j) \in P} D_{ij}^2
            + \frac{1}{2} \cdot \frac{1}{|N|} \sum_{(i,j) \in N} \max(0, \alpha - D_{ij})^2 \Bigr)

    It estimates the same quantity as `ContrastiveLoss`, half the mean over pairs: the authors' list holds as many
    negatives as positives, so each kind contributes half of that mean. The plain mean over all pairs of a batch would
    not: with 32 classes x 4 images only 3 in 127 pairs are positive, too few to pull. pytorch-metric-learning also
    averages the two kinds separately, but only over terms above 0, and without the squares.

    Parameters
    ----------
    margin : float
        The margin :math:`\alpha`, in units of distance. The paper's is 1.

    Inputs
    ------
    embedding : (B, D) float32 or float64
    label : (B,) or (B, 1), any numeric dtype
        Class of each row. Compared for equality in its own dtype.

    Outputs
    -------
    loss : (1,) of the embedding's dtype
        A kind of pair that is missing from the batch adds 0.

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
        D2 = squared_distances(F, centered(F, embedding))  # (B, B), as all below
        same, positive = masks(F, label, D2)
        negative = 1 - same
        hinge = F.relu(self.margin - distances(F, D2)) * negative
        # Sums and counts include both orders of each pair
        pull = sum_of_products(F, positive, D2) / F.maximum(sum_of_squares(F, positive), 1.0)
        push = sum_of_squares(F, hinge) / F.maximum(sum_of_squares(F, negative), 1.0)
        return (pull + push) / 4
