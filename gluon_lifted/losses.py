"""LiftedStructureLoss: every positive pair of a batch against all negatives of both its images.

MXNet runs one operator at a time, each a pass over a (B, B) matrix, so the cost is the number of passes and the
choice of operators. Forward and backward, B = 512, D = 64, two threads of an otherwise idle CPU, medians:

==========================================================================  =======
the textbook operators (`exp`, `log`, `sum`), differentiated by autograd    17.9 ms
the fast ones (`log_softmax`, `softrelu`, `dot` for sums), by autograd      12.2 ms
the fast ones, with the gradient in closed form: this module                 5.8 ms
eager PyTorch, the same formula with `cdist`                                 4.1 ms
==========================================================================  =======

`benchmarks/lifted_loss.py` measures it anew. The closed form also halves the memory, to some eight (B, B) matrices.
"""

from __future__ import annotations

import math
from typing import Any

from gluon_lifted.errors import ConfigError
from gluon_lifted.mx import HybridBlock

FAR = 1e30  # minus this, a logit counts for nothing: exp(-FAR) is 0; finite, because inf - inf is NaN
TINY = 1e-36  # far below any squared distance that is not 0, yet no denormal number in float32


class LiftedStructureLoss(HybridBlock):
    r"""Lifted structured loss (Song, Xiang, Jegelka, Savarese, CVPR 2016, eq. 4), in O(B²) time and memory.

    With :math:`D_{ij} = \lVert x_i - x_j \rVert` (Euclidean, not squared), P the pairs i < j of equal label, and
    N(i) the images whose label is not that of i:

    .. math::
        J &= \frac{1}{2|P|} \sum_{(i,j) \in P} \max(0, J_{ij})^2 \\
        J_{ij} &= \log\Bigl( \sum_{k \in N(i)} e^{\alpha - D_{ik}} + \sum_{l \in N(j)} e^{\alpha - D_{jl}} \Bigr)
                  + D_{ij}

    All pairs count in ``|P|``, those with :math:`J_{ij} \le 0` too, as in the authors' Caffe layer. Both sums of a
    pair are per image, so one log-sum-exp a row, :math:`L_i`, serves all pairs of the image:
    :math:`J_{ij} = \operatorname{logaddexp}(L_i, L_j) + D_{ij}`.

    Parameters
    ----------
    margin : float
        The margin :math:`\alpha`, in units of distance. The paper's is 1.

    Inputs
    ------
    embedding : (B, D) float32 or float64
        Not normalised in the paper; any scale works.
    label : (B,) or (B, 1), any numeric dtype
        Class of each row. Compared for equality in its own dtype.

    Outputs
    -------
    loss : (1,) of the embedding's dtype
        0, with gradient 0, for a batch without positive pairs or without negatives.

    Notes
    -----
    The gradient of a distance of 0 is taken as 0, so duplicate images are harmless. Squared distances come from one
    matrix product of the centred batch. With R the largest distance of a row from the batch mean, a distance d is
    right to about eps (R/d)² of itself and sqrt(2 eps) R at worst; in float32 (eps 1.2e-7) loss and gradient of
    ordinary batches are right to 1e-6, and two exact duplicates can seem up to 1e-3 R apart.
    NaN or infinity in the embedding gives NaN. The gradient is exact, but a constant of the graph: it cannot be
    differentiated a second time.

    Raises
    ------
    ConfigError
        If the margin is not a finite number.
    """

    def __init__(self, margin: float = 1.0) -> None:
        if not math.isfinite(margin):
            raise ConfigError(f"The margin of the lifted structured loss is {margin}; it must be finite (paper: 1.0).")
        super().__init__()
        self.margin = float(margin)

    def hybrid_forward(self, F: Any, embedding: Any, label: Any) -> Any:
        loss, gradient = self._loss_and_gradient(F, F.BlockGrad(embedding), label)
        # <embedding, gradient> minus itself: exactly 0, and its derivative by the embedding is the gradient
        carrier = F.dot(F.reshape(embedding, (-1,)), F.reshape(gradient, (-1,)))
        return loss + (carrier - F.BlockGrad(carrier))

    def _loss_and_gradient(self, F: Any, embedding: Any, label: Any) -> tuple[Any, Any]:
        X = F.broadcast_sub(embedding, F.mean(embedding, axis=0, keepdims=True))  # same distances, less rounding
        D2 = _squared_distances(F, X)  # (B, B), as all that follows unless it says otherwise
        D = F.sqrt(D2)
        same, positive = _masks(F, label, D)
        pairs = F.maximum(_sum_of_squares(F, positive), 1.0)  # (1,) 2|P|: (i, j) and (j, i)

        L, softmax = _log_sum_exp(F, same * -FAR - D)  # over each row's negatives: (B, 1), (B, B)
        L = L + self.margin
        difference = F.broadcast_sub(L, _row(F, L))  # L_i - L_j
        logaddexp = F.broadcast_add(F.Activation(difference, act_type="softrelu"), _row(F, L))
        hinge = F.relu(logaddexp + D) * positive  # t_ij = max(0, J_ij), 0 off the pairs
        loss = _sum_of_squares(F, hinge) / (2 * pairs)  # (1,)

        # dJ = 1/(2|P|) sum_ij (t_ij - 2 a_i softmax_ij) dD_ij with a_i = sum_j t_ij sigmoid(L_i - L_j)
        a = _row_sums(F, hinge * F.Activation(difference, act_type="sigmoid"))  # (B, 1)
        by_distance = hinge - F.broadcast_mul(softmax, 2 * a)
        inverse_distance = D / (D2 + TINY)  # 0 where D is 0: no direction, no gradient
        gradient = _chain_to_rows(F, by_distance * inverse_distance, X)
        return loss, F.broadcast_div(gradient, pairs)


def _column(F: Any, vector: Any) -> Any:
    return F.reshape(vector, (-1, 1))


def _row(F: Any, vector: Any) -> Any:
    return F.reshape(vector, (1, -1))


def _sum_of_squares(F: Any, matrix: Any) -> Any:
    """-> (1,). `dot` runs in BLAS; MXNet's own `sum` takes ten times as long on a CPU."""
    flat = F.reshape(matrix, (-1,))
    return F.dot(flat, flat)


def _row_sums(F: Any, matrix: Any) -> Any:
    """(B, B) -> (B, 1), by `dot` for the same reason."""
    return F.dot(matrix, F.ones_like(F.slice_axis(matrix, axis=1, begin=0, end=1)))


def _squared_distances(F: Any, X: Any) -> Any:
    """|x_i|² + |x_j|² - 2 x_i·x_j, (B, D) -> (B, B); rounding can take it below 0, where `sqrt` is NaN."""
    norms = F.sum(F.square(X), axis=1)
    D2 = F.linalg.gemm(X, X, F.broadcast_add(_column(F, norms), _row(F, norms)), transpose_b=True, alpha=-2.0)
    return F.relu(D2)  # keeps NaN, unlike `Activation`


def _masks(F: Any, label: Any, D: Any) -> tuple[Any, Any]:
    """1 where labels are equal, and the same without the diagonal: (B, B) each, in the dtype of ``D``."""
    index = F.contrib.arange_like(D, axis=0)
    label = F.reshape_like(label, index)  # (B,); refuses a label too many, which `where` would not
    equal = F.broadcast_equal(_column(F, label), _row(F, label))  # in the labels' own dtype
    same = F.where(equal, F.ones_like(D), F.zeros_like(D))
    return same, same - F.broadcast_equal(_column(F, index), _row(F, index))


def _log_sum_exp(F: Any, logits: Any) -> tuple[Any, Any]:
    """Of each row, (B, B) -> (B, 1), and its softmax: logit - log(softmax), read at the largest for accuracy."""
    softmax = F.softmax(logits)
    largest = F.argmax(logits, axis=1)
    return F.pick(logits, largest, keepdims=True) - F.log(F.pick(softmax, largest, keepdims=True)), softmax


def _chain_to_rows(F: Any, weight: Any, X: Any) -> Any:
    """sum_j C_ij (x_i - x_j) with C = weight + its transpose: sum_ij weight_ij |dx_i - dx_j| taken to X. (B, D)."""
    C = weight + F.transpose(weight)
    return F.broadcast_mul(X, _row_sums(F, C)) - F.dot(C, X)
