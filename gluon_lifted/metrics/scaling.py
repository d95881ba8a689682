"""Numbers that are far too large or too small to be squared, brought into a range where they can be."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

Number = TypeVar("Number", bound=np.floating[Any])


def in_unit_range(rows: NDArray[Number]) -> NDArray[Number]:
    """The same times a power of two, so that the largest absolute value is within 0.5 and 1.

    Only values 10^37 times smaller than the largest are rounded. Results that depend on ratios of distances alone,
    such as clusters, stay the same.

    Parameters
    ----------
    rows : ndarray of float, (N, D)
        Finite.

    Examples
    --------
    >>> in_unit_range(np.array([[3.0, -6.0]]))
    array([[ 0.375, -0.75 ]])
    """
    largest = max(float(rows.max(initial=0)), -float(rows.min(initial=0)))
    if largest == 0:
        return rows
    return np.ldexp(rows, -int(np.frexp(largest)[1]))
