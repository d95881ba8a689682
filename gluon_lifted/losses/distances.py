"""Building blocks of the losses: distances, cosines and masks of all pairs of a batch, and sums over them.

On a CPU the cost of a loss depends on the number of passes over a (B, B) matrix and on the operators: MXNet's `sum`
takes ten times as long as `dot`, which runs in BLAS.
"""

from __future__ import annotations

from typing import Any

FAR = 1e30  # subtracted from a logit to exclude it: exp(-FAR) is 0. Finite, because inf - inf is NaN
TINY = 1e-36  # far below any nonzero squared distance, but not denormal in float32


def column(F: Any, vector: Any) -> Any:
    """Reshape (B,) to (B, 1)."""
    return F.reshape(vector, (-1, 1))


def row(F: Any, vector: Any) -> Any:
    """Reshape (B,) to (1, B)."""
    return F.reshape(vector, (1, -1))


def sum_of_squares(F: Any, matrix: Any) -> Any:
    """Sum the squares of all elements: (1,)."""
    flat = F.reshape(matrix, (-1,))
    return F.dot(flat, flat)


def sum_of_products(F: Any, left: Any, right: Any) -> Any:
    """Sum the elementwise product of two arrays of equal shape: (1,)."""
    return F.dot(F.reshape(left, (-1,)), F.reshape(right, (-1,)))


def row_sums(F: Any, matrix: Any) -> Any:
    """Sum each row: (M, N) -> (M, 1)."""
    return F.dot(matrix, F.ones_like(F.slice_axis(matrix, axis=0, begin=0, end=1)), transpose_b=True)


def centered(F: Any, embedding: Any) -> Any:
    """Subtract the batch mean (B, D) -> (B, D): the same distances, with less rounding error."""
    return F.broadcast_sub(embedding, F.BlockGrad(F.mean(embedding, axis=0, keepdims=True)))


def squared_distances(F: Any, X: Any) -> Any:
    """Compute |x_i|² + |x_j|² - 2 x_i·x_j, (B, D) -> (B, B), clipped at 0: rounding can make it negative."""
    norms = F.sum(F.square(X), axis=1)
    D2 = F.linalg.gemm(X, X, F.broadcast_add(column(F, norms), row(F, norms)), transpose_b=True, alpha=-2.0)
    return F.relu(D2)  # keeps NaN, unlike `Activation`


def distances(F: Any, D2: Any) -> Any:
    """Compute the root of squared distances, with gradient 0 instead of 0/0 where D2 is 0."""
    return F.sqrt(F.maximum(D2, TINY))


def unit_rows(F: Any, X: Any) -> Any:
    """Scale each row to unit length, (N, D) -> (N, D). Rows shorter than 1e-18 become 0, with gradient 0."""
    squares = F.sum(F.square(X), axis=1, keepdims=True)  # (N, 1)
    counted = (squares > TINY) + 0 * squares  # 0 * inf is NaN: reports lengths that overflow
    return F.broadcast_mul(X, counted / distances(F, squares))


def products(F: Any, X: Any, Y: Any) -> Any:
    """Multiply each row of ``X`` with each row of ``Y``, (M, D), (N, D) -> (M, N): the cosines of unit rows."""
    return F.linalg.gemm2(X, Y, transpose_b=True)


def label_vector(F: Any, label: Any, embedding: Any) -> Any:
    """Reshape labels (B,) or (B, 1) to (B,). MXNet refuses a wrong number of labels here, unlike in `where`."""
    return F.reshape_like(label, F.contrib.arange_like(embedding, axis=0))


def indicator(F: Any, condition: Any, like: Any) -> Any:
    """Return 1 where the condition holds, else 0, in the dtype of ``like``. The condition has the labels' dtype."""
    return F.where(condition, F.ones_like(like), F.zeros_like(like))


def masks(F: Any, label: Any, D: Any) -> tuple[Any, Any]:
    """Return 1 where labels are equal, with and without the diagonal: two (B, B) in the dtype of ``D``."""
    label = label_vector(F, label, D)
    same = indicator(F, F.broadcast_equal(column(F, label), row(F, label)), D)
    index = F.contrib.arange_like(D, axis=0)
    return same, same - F.broadcast_equal(column(F, index), row(F, index))


def class_mask(F: Any, label: Any, embedding: Any, proxies: Any, like: Any) -> Any:
    """Return 1 where the row's label is the proxy's class, its index: (B, C) in the dtype of ``like``."""
    label = F.cast(label_vector(F, label, embedding), "float64")  # exact up to 2^53, unlike float32
    classes = F.cast(F.contrib.arange_like(proxies, axis=0), "float64")
    return indicator(F, F.broadcast_equal(column(F, label), row(F, classes)), like)


def log_sum_exp(F: Any, logits: Any) -> tuple[Any, Any]:
    """Return the log-sum-exp of each row, (M, N) -> (M, 1), and its softmax (M, N).

    It is computed as logit - log(softmax) at the largest logit, for accuracy.
    """
    softmax = F.softmax(logits)
    largest = F.argmax(logits, axis=1)
    return F.pick(logits, largest, keepdims=True) - F.log(F.pick(softmax, largest, keepdims=True)), softmax


def log_one_plus_sum_exp(F: Any, logits: Any, keep: Any) -> Any:
    """Return log(1 + sum of exp) of each row, over the logits where ``keep`` is 1: (M, N) -> (M, 1). 0 over none."""
    total, _ = log_sum_exp(F, logits - (1 - keep) * FAR)
    return F.Activation(total, act_type="softrelu")
