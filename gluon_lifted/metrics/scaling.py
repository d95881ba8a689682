"""Scale numbers that are too large or too small to be squared."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

Number = TypeVar("Number", bound=np.floating[Any])


def in_unit_range(rows: NDArray[Number]) -> NDArray[Number]:
    """Multiply by a power of two, so that the largest absolute value is between 0.5 and 1.

    Only values 10^37 times smaller than the largest are rounded. Results that depend only on ratios of distances, such
    as clusters, do not change.

    Parameters
    ----------
    rows : ndarray of float, (N, D)
        Finite values.

    Examples
    --------
    >>> in_unit_range(np.array([[3.0, -6.0]]))
    array([[ 0.375, -0.75 ]])
    """
    largest = max(float(rows.max(initial=0)), -float(rows.min(initial=0)))
    if largest == 0:
        return rows
    return np.ldexp(rows, -int(np.frexp(largest)[1]))
