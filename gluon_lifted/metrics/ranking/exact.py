"""Squared distances as a plain loop in float64 computes them: what decides every rank."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

NUMBERS_AT_A_TIME = 1 << 17  # 1 MB of differences: they stay in the processor's second cache


def sum_in_order(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Sum of each row (n, D), added from left to right; ``sum(axis=1)`` would add in pairs and round differently."""
    if len(values) == 1:  # its transpose is one run in memory, which NumPy adds in pairs
        last: NDArray[np.float64] = values.cumsum(axis=1)[:, -1]
        return last
    total: NDArray[np.float64] = np.ascontiguousarray(values.T).sum(axis=0)
    return total


class Distinct(NamedTuple):
    """Rows (k, D) that differ, in float64, and which of them each row is, (n,)."""

    rows: NDArray[np.float64]
    again: NDArray[np.int64]


def distinct(rows: NDArray[np.float64]) -> Distinct:
    """Find equal rows, so that their distances are computed once. Minus zero equals zero."""
    rows = np.ascontiguousarray(rows + 0.0)
    as_bytes = rows.view(f"V{rows.itemsize * rows.shape[1]}").ravel()
    _, first, again = np.unique(as_bytes, return_index=True, return_inverse=True)
    return Distinct(rows[first], again.reshape(-1))


def squared_distances(rows: Distinct, others: Distinct) -> NDArray[np.float64]:
    r"""Compute ``|x - y|^2`` of each row with each other row, (n, m), equal to a loop's in the last bit.

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
    """Compute ``|x - y|^2`` of the pairs that ``first`` and ``second`` number, (m,), as `squared_distances` does."""
    square = np.empty(len(first))
    step = max(NUMBERS_AT_A_TIME // rows.rows.shape[1], 64)
    for start in range(0, len(first), step):
        pairs = slice(start, start + step)
        difference = rows.rows[rows.again[first[pairs]]] - others.rows[others.again[second[pairs]]]  # (step, D)
        square[pairs] = sum_in_order(np.square(difference, out=difference))
    return square
