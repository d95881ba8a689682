"""Parts of the losses: distances and masks of all pairs of a batch, and sums over them.

On a CPU the cost of a loss is the number of passes over a (B, B) matrix and the choice of operators: MXNet's own
`sum` takes ten times as long as `dot`, which runs in BLAS.
"""

from __future__ import annotations

from typing import Any

FAR = 1e30  # minus this, a logit counts for nothing: exp(-FAR) is 0; finite, because inf - inf is NaN
TINY = 1e-36  # far below any squared distance that is not 0, yet no denormal number in float32


def column(F: Any, vector: Any) -> Any:
    return F.reshape(vector, (-1, 1))


def row(F: Any, vector: Any) -> Any:
    return F.reshape(vector, (1, -1))


def sum_of_squares(F: Any, matrix: Any) -> Any:
    """-> (1,)."""
    flat = F.reshape(matrix, (-1,))
    return F.dot(flat, flat)


def sum_of_products(F: Any, left: Any, right: Any) -> Any:
    """Sum of the elementwise product of two arrays of one shape: -> (1,)."""
    return F.dot(F.reshape(left, (-1,)), F.reshape(right, (-1,)))


def row_sums(F: Any, matrix: Any) -> Any:
    """(B, B) -> (B, 1)."""
    return F.dot(matrix, F.ones_like(F.slice_axis(matrix, axis=1, begin=0, end=1)))


def centered(F: Any, embedding: Any) -> Any:
    """The batch around its mean: the same distances, with less rounding."""
    return F.broadcast_sub(embedding, F.BlockGrad(F.mean(embedding, axis=0, keepdims=True)))


def squared_distances(F: Any, X: Any) -> Any:
    """|x_i|² + |x_j|² - 2 x_i·x_j, (B, D) -> (B, B); rounding can take it below 0, where `sqrt` is NaN."""
    norms = F.sum(F.square(X), axis=1)
    D2 = F.linalg.gemm(X, X, F.broadcast_add(column(F, norms), row(F, norms)), transpose_b=True, alpha=-2.0)
    return F.relu(D2)  # keeps NaN, unlike `Activation`


def distances(F: Any, D2: Any) -> Any:
    """The root of squared distances, to be differentiated: where D2 is 0 the gradient is 0, not 0/0."""
    return F.sqrt(F.maximum(D2, TINY))


def label_vector(F: Any, label: Any, embedding: Any) -> Any:
    """(B,) from (B,) or (B, 1); refuses a label too many or too few, which `where` would not."""
    return F.reshape_like(label, F.contrib.arange_like(embedding, axis=0))


def indicator(F: Any, condition: Any, like: Any) -> Any:
    """1 where the condition holds, else 0, in the dtype of ``like``; the condition has that of the labels."""
    return F.where(condition, F.ones_like(like), F.zeros_like(like))


def masks(F: Any, label: Any, D: Any) -> tuple[Any, Any]:
    """1 where labels are equal, and the same without the diagonal: (B, B) each, in the dtype of ``D``."""
    label = label_vector(F, label, D)
    same = indicator(F, F.broadcast_equal(column(F, label), row(F, label)), D)
    index = F.contrib.arange_like(D, axis=0)
    return same, same - F.broadcast_equal(column(F, index), row(F, index))


def log_sum_exp(F: Any, logits: Any) -> tuple[Any, Any]:
    """Log-sum-exp of each row, (B, B) -> (B, 1), and its softmax: logit - log(softmax) at the largest, for accuracy."""
    softmax = F.softmax(logits)
    largest = F.argmax(logits, axis=1)
    return F.pick(logits, largest, keepdims=True) - F.log(F.pick(softmax, largest, keepdims=True)), softmax
