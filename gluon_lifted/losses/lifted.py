"""LiftedStructureLoss: each positive pair of a batch against all negatives of both images.

MXNet runs one operator at a time, each a pass over a (B, B) matrix, so the cost depends on the number of passes and
the operators. Median times of forward and backward, B = 512, D = 64, two threads of an otherwise idle CPU:

==========================================================================  =======
textbook operators (`exp`, `log`, `sum`), differentiated by autograd        17.9 ms
fast operators (`log_softmax`, `softrelu`, `dot` for sums), by autograd     12.2 ms
fast operators with the gradient in closed form: this module                 5.8 ms
eager PyTorch, the same formula with `cdist`                                 4.1 ms
==========================================================================  =======

`benchmarks/lifted_loss.py` measures this. The closed form also halves the memory, to about eight (B, B) matrices.
"""

from __future__ import annotations

from typing import Any

from gluon_lifted.losses.distances import (
    FAR,
    TINY,
    centered,
    log_sum_exp,
    masks,
    row,
    row_sums,
    squared_distances,
    sum_of_products,
    sum_of_squares,
)
from gluon_lifted.losses.metric_loss import MetricLoss


class LiftedStructureLoss(MetricLoss):
    r"""Lifted structured loss (Song, Xiang, Jegelka, Savarese, CVPR 2016, eq. 4), in O(B²) time and memory.

    With :math:`D_{ij} = \lVert x_i - x_j \rVert` (Euclidean, not squared), P the pairs i < j of equal label, and
    N(i) the images whose label is not that of i:

    .. math::
        J &= \frac{1}{2|P|} \sum_{(i,j) \in P} \max(0, J_{ij})^2 \\
        J_{ij} &= \log\Bigl( \sum_{k \in N(i)} e^{\alpha - D_{ik}} + \sum_{l \in N(j)} e^{\alpha - D_{jl}} \Bigr)
                  + D_{ij}

    All pairs count in ``|P|``, including pairs with :math:`J_{ij} \le 0`, as in the authors' Caffe layer. Both sums of
    a pair are per image, so one log-sum-exp per row, :math:`L_i`, serves all pairs of the image:
    :math:`J_{ij} = \operatorname{logaddexp}(L_i, L_j) + D_{ij}`.

    Parameters
    ----------
    margin : float
        The margin :math:`\alpha`, in units of distance. The paper's is 1.

    Inputs
    ------
    embedding : (B, D) float32 or float64
        Not normalized in the paper. Any scale works.
    label : (B,) or (B, 1), any numeric dtype
        Class of each row. Compared for equality in its own dtype.

    Outputs
    -------
    loss : (1,) of the embedding's dtype
        0, with gradient 0, for a batch without positive pairs or without negatives.

    Notes
    -----
    The gradient of a distance of 0 is taken as 0, so duplicate images are harmless. Squared distances come from one
    matrix product of the centered batch. With R the largest distance of a row from the batch mean, the relative error
    of a distance d is about eps (R/d)², and its absolute error at most sqrt(2 eps) R. In float32 (eps 1.2e-7) loss and
    gradient of ordinary batches are accurate to 1e-6, and exact duplicates can appear up to 1e-3 R apart.
    NaN or infinity in the embedding gives NaN. The gradient is exact, but a constant of the graph: it cannot be
    differentiated again.

    Raises
    ------
    ConfigError
        If the margin is not a finite number.
    """

    def hybrid_forward(self, F: Any, embedding: Any, label: Any) -> Any:
        """Compute the loss of a batch: (1,)."""
        loss, gradient = self._loss_and_gradient(F, F.BlockGrad(embedding), label)
        # <embedding, gradient> minus itself is exactly 0; its derivative by the embedding is the gradient
        carrier = sum_of_products(F, embedding, gradient)
        return loss + (carrier - F.BlockGrad(carrier))

    def _loss_and_gradient(self, F: Any, embedding: Any, label: Any) -> tuple[Any, Any]:
        X = centered(F, embedding)
        D2 = squared_distances(F, X)  # (B, B), as all below unless stated otherwise
        D = F.sqrt(D2)
        same, positive = masks(F, label, D)
        pairs = F.maximum(sum_of_squares(F, positive), 1.0)  # (1,) 2|P|: (i, j) and (j, i)

        L, softmax = log_sum_exp(F, same * -FAR - D)  # over each row's negatives: (B, 1), (B, B)
        L = L + self.margin
        difference = F.broadcast_sub(L, row(F, L))  # L_i - L_j
        logaddexp = F.broadcast_add(F.Activation(difference, act_type="softrelu"), row(F, L))
        hinge = F.relu(logaddexp + D) * positive  # t_ij = max(0, J_ij), 0 off the pairs
        loss = sum_of_squares(F, hinge) / (2 * pairs)  # (1,)

        # dJ = 1/(2|P|) sum_ij (t_ij - 2 a_i softmax_ij) dD_ij with a_i = sum_j t_ij sigmoid(L_i - L_j)
        a = row_sums(F, hinge * F.Activation(difference, act_type="sigmoid"))  # (B, 1)
        by_distance = hinge - F.broadcast_mul(softmax, 2 * a)
        inverse_distance = D / (D2 + TINY)  # 0 where D is 0: no direction, no gradient
        gradient = _chain_to_rows(F, by_distance * inverse_distance, X)
        return loss, F.broadcast_div(gradient, pairs)


def _chain_to_rows(F: Any, weight: Any, X: Any) -> Any:
    """Return sum_j C_ij (x_i - x_j) with C = weight + its transpose: the chain rule from distances to X, (B, D)."""
    C = weight + F.transpose(weight)
    return F.broadcast_mul(X, row_sums(F, C)) - F.dot(C, X)
