"""Squared distances as a plain loop in float64 computes them: what decides every rank."""

from __future__ import annotations

from functools import cache
from itertools import pairwise
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from scipy.spatial.distance import cdist

if TYPE_CHECKING:
    from numpy.typing import NDArray

ROWS_AT_A_TIME = 16  # of a tile without SciPy's loop: 128 kB in float64 at 1,024 columns


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
    r"""``|x - y|^2`` of each row with each other row, (n, m), equal to the loop's in the last bit.

    Notes
    -----
    .. math:: \bigl(\dots\bigl((x_1 - y_1)^2 + (x_2 - y_2)^2\bigr) + \dots\bigr) + (x_D - y_D)^2
    """
    loop = cdist if _cdist_adds_in_order() else _by_columns
    square: NDArray[np.float64] = loop(rows.rows, others.rows, "sqeuclidean")
    return square.take(others.again, axis=1).take(rows.again, axis=0)


def squared_distances_of_pairs(
    rows: Distinct, others: Distinct, first: NDArray[np.int64], second: NDArray[np.int64]
) -> NDArray[np.float64]:
    """``|x - y|^2`` of some pairs, (m,), as `squared_distances` has them: for many pairs of each row.

    ``first`` and ``second`` number the rows of each pair; ``first`` ascends.
    """
    loop = cdist if _cdist_adds_in_order() else _by_columns
    square = np.empty(len(first))
    for start, stop in pairwise([*np.flatnonzero(np.diff(first, prepend=-1)), len(first)]):
        row = rows.again[first[start]]
        square[start:stop] = loop(
            rows.rows[row : row + 1], others.rows[others.again[second[start:stop]]], "sqeuclidean"
        )
    return square


@cache
def _cdist_adds_in_order() -> bool:
    """Whether SciPy was compiled to round after each operation: not so where multiply and add are fused."""
    rng = np.random.default_rng(0)
    rows, others = rng.normal(size=(13, 37)), rng.normal(size=(11, 37))
    return bool(np.array_equal(cdist(rows, others, "sqeuclidean"), _by_columns(rows, others)))


def _by_columns(rows: NDArray[np.float64], others: NDArray[np.float64], _: Any = None) -> NDArray[np.float64]:
    total = np.zeros((len(rows), len(others)))
    columns, other_columns = np.ascontiguousarray(rows.T), np.ascontiguousarray(others.T)
    for start in range(0, len(rows), ROWS_AT_A_TIME):
        part = total[start : start + ROWS_AT_A_TIME]
        square = np.empty_like(part)
        for column, other in zip(columns[:, start : start + ROWS_AT_A_TIME], other_columns, strict=True):
            np.subtract(other, column[:, None], out=square)
            np.multiply(square, square, out=square)
            part += square
    return total
