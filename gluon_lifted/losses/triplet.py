"""Triplet losses: an anchor closer to its positive than to a negative, by a margin of squared distance."""

from __future__ import annotations

import math
from typing import Any

from gluon_lifted.losses.distances import (
    centered,
    column,
    indicator,
    label_vector,
    masks,
    row_sums,
    squared_distances,
    sum_of_products,
    sum_of_squares,
)
from gluon_lifted.losses.metric_loss import MetricLoss

SEARCH_STEPS = tuple(2**k for k in reversed(range(16)))  # MXNet holds no (B, B) matrix of B > 46340


class TripletLoss(MetricLoss):
    r"""Triplet loss of disjoint triplets (Weinberger, Saul, JMLR 2009), as Song et al. 2016 write it.

    Rows i, i + B/3 and i + 2B/3 of a batch of B images are anchor, positive and negative of triplet i:

    .. math:: J = \frac{3}{2B} \sum_{i=1}^{B/3} \max(0, D_{ap}^2 - D_{an}^2 + \alpha)

    with D the Euclidean distance. It is half the mean over the triplets.

    Parameters
    ----------
    margin : float
        The margin :math:`\alpha`, in units of squared distance. The paper's is 1.

    Inputs
    ------
    embedding : (B, D) float32 or float64
        B is a multiple of 3. MXNet refuses to split any other.
    label : (B,) or (B, 1), any numeric dtype
        Class of each row. A triplet adds 0 unless its positive has the anchor's label and its negative another.

    Outputs
    -------
    loss : (1,) of the embedding's dtype

    Notes
    -----
    NaN or infinity in the embedding gives NaN.

    Raises
    ------
    ConfigError
        If the margin is not a finite number.
    """

    def hybrid_forward(self, F: Any, embedding: Any, label: Any) -> Any:
        """Compute the loss of a batch: (1,)."""
        anchor, positive, negative = F.split(embedding, num_outputs=3, axis=0)  # (B/3, D) each
        labels = F.split(label_vector(F, label, embedding), num_outputs=3, axis=0)
        D2_positive = F.sum(F.square(anchor - positive), axis=1)  # (B/3,), as all below
        D2_negative = F.sum(F.square(anchor - negative), axis=1)
        gap = D2_positive - D2_negative
        valid = indicator(F, F.broadcast_equal(labels[0], labels[1]), gap) * indicator(
            F, F.broadcast_not_equal(labels[0], labels[2]), gap
        )
        hinge = F.relu(gap + self.margin) + 0 * gap  # 0 * inf is NaN: reports infinite distances
        return F.mean(hinge * valid) / 2


class SemiHardTripletLoss(MetricLoss):
    r"""Triplet loss with semi-hard negatives within the batch (Schroff, Kalenichenko, Philbin, "FaceNet", CVPR 2015).

    With P the ordered pairs (a, p) of equal label, a not p, and D the Euclidean distance:

    .. math::
        J &= \frac{1}{|P|} \sum_{(a,p) \in P} \max(0, D_{ap}^2 - D_{an}^2 + \alpha) \\
        n &= \operatorname{argmin}_{n : D_{an} > D_{ap}} D_{an}

    among the negatives of a. If no negative is farther than the positive, n is the farthest negative, as in
    TensorFlow's ``triplet_semihard_loss``. The paper leaves that case open.

    Parameters
    ----------
    margin : float
        The margin :math:`\alpha`, in units of squared distance. FaceNet's is 0.2, on embeddings of unit length.

    Inputs
    ------
    embedding : (B, D) float32 or float64
        Not normalized here. Let the network normalize it for unit length.
    label : (B,) or (B, 1), any numeric dtype
        Class of each row. Compared for equality in its own dtype.

    Outputs
    -------
    loss : (1,) of the embedding's dtype
        0, with gradient 0, for a batch without positive pairs or without negatives.

    Notes
    -----
    O(B²) memory, O(B² log B) time: each row's negatives are sorted once, and a binary search finds n for each
    positive. The gradient treats the choice of n as constant. A negative at exactly the computed distance of the
    positive is not farther. Ties between negatives are broken arbitrarily. Distances are as accurate as those of
    `LiftedStructureLoss`. NaN or infinity in the embedding gives NaN.

    Raises
    ------
    ConfigError
        If the margin is not a finite number.
    """

    def hybrid_forward(self, F: Any, embedding: Any, label: Any) -> Any:
        """Compute the loss of a batch: (1,)."""
        D2 = squared_distances(F, centered(F, embedding))  # (B, B), as all below unless stated otherwise
        same, positive = masks(F, label, D2)
        chosen = semi_hard_negatives(F, F.BlockGrad(D2), 1 - same)
        D2_negative = F.take(F.reshape(D2, (-1,)), chosen)
        pairs = F.broadcast_mul(positive, F.sign(row_sums(F, 1 - same)))
        hinge = F.relu(D2 - D2_negative + self.margin)
        return sum_of_products(F, hinge, pairs) / F.maximum(sum_of_squares(F, pairs), 1.0)


def semi_hard_negatives(F: Any, D2: Any, negative: Any) -> Any:
    """Find, for each entry of ``D2``, the nearest farther negative of its row, else the row's farthest negative.

    Parameters
    ----------
    D2 : (B, B)
        Squared distances.
    negative : (B, B)
        1 where the column is a negative of the row, else 0. The diagonal is 0.

    Returns
    -------
    (B, B) int32
        Positions in the flat matrix, row * B + column. Meaningless in rows without negatives.
    """
    index = F.cast(F.contrib.arange_like(D2, axis=0), "int32")
    size = F.max(index) + 1  # (1,)
    start = column(F, F.broadcast_mul(index, size))  # (B, 1) start of each row in the flat matrix
    last = F.broadcast_add(start, size - 1)
    candidates = F.where(negative, D2, F.ones_like(D2) * math.inf)
    order = F.broadcast_add(start, F.argsort(candidates, axis=1, dtype="int32"))  # positions, nearest first
    # (B²,); the last of each row is inf, because the diagonal is not a negative. `topk` can crash in backward.
    ascending = F.reshape(F.take(F.reshape(candidates, (-1,)), order), (-1,))

    position = F.broadcast_add(start, F.zeros_like(order))  # of the first candidate that can be farther
    for step in SEARCH_STEPS:
        ahead = F.broadcast_minimum(position + step, last + 1)
        nearer = F.take(ascending, ahead - 1) <= D2  # all before ``ahead`` are no farther than the positive
        position = F.where(nearer, ahead, position)
    farthest = F.cast(row_sums(F, negative), "int32") + start - 1
    position = F.broadcast_minimum(position, farthest)
    return F.take(F.reshape(order, (-1,)), position)
