"""Squared distances exactly as a plain loop in float64 computes them, which define every rank."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

NUMBERS_AT_A_TIME = 1 << 17  # 1 MB of differences, which fits into the L2 cache


def sum_in_order(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Sum each row (n, D) from left to right; ``sum(axis=1)`` adds in pairs and rounds differently."""
    if len(values) == 1:  # its transpose is contiguous, which NumPy adds in pairs
        last: NDArray[np.float64] = values.cumsum(axis=1)[:, -1]
        return last
    total: NDArray[np.float64] = np.ascontiguousarray(values.T).sum(axis=0)
    return total


class Distinct(NamedTuple):
    """Distinct rows in float64, (k, D), and the index of each original row among them, (n,)."""

    rows: NDArray[np.float64]
    again: NDArray[np.int64]


def distinct(rows: NDArray[np.float64]) -> Distinct:
    """Find equal rows, so that their distances are computed once. Zeros of both signs are equal."""
    rows = np.ascontiguousarray(rows + 0.0)
    as_bytes = rows.view(f"V{rows.itemsize * rows.shape[1]}").ravel()
    _, first, again = np.unique(as_bytes, return_index=True, return_inverse=True)
    return Distinct(rows[first], again.reshape(-1))


def squared_distances(rows: Distinct, others: Distinct) -> NDArray[np.float64]:
    r"""Compute ``|x - y|^2`` of each row with each other row, (n, m), bit-identical to a loop.

    Notes
    -----
    .. math:: \bigl(\dots\bigl((x_1 - y_1)^2 + (x_2 - y_2)^2\bigr) + \dots\bigr) + (x_D - y_D)^2
    """
    square = np.empty((len(rows.rows), len(others.rows)))
    step = max(NUMBERS_AT_A_TIME // rows.rows.shape[1], 64)
    for start in range(0, len(others.rows), step):
        part = np.ascontiguousarray(others.rows[start : start + step].T)  # (D, step)
        difference = np.empty_like(part)
        for row, squares in zip(rows.rows, square[:, start : start + step], strict=True):
            np.subtract(part, row[:, None], out=difference)
            squares[:] = sum_in_order(np.square(difference, out=difference).T)
    return square.take(others.again, axis=1).take(rows.again, axis=0)


def squared_distances_of_pairs(
    rows: Distinct, others: Distinct, first: NDArray[np.int64], second: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Compute ``|x - y|^2`` of pairs of row indices ``first`` and ``second``, (m,), as `squared_distances` does."""
    square = np.empty(len(first))
    step = max(NUMBERS_AT_A_TIME // rows.rows.shape[1], 64)
    for start in range(0, len(first), step):
        pairs = slice(start, start + step)
        difference = rows.rows[rows.again[first[pairs]]] - others.rows[others.again[second[pairs]]]  # (step, D)
        square[pairs] = sum_in_order(np.square(difference, out=difference))
    return square
