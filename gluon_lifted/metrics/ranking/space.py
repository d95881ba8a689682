"""How far rows are from one another: quickly within a known error, or exactly as float64 tells."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np

from gluon_lifted.errors import ConfigError, DataError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

Distance = Literal["euclidean", "cosine"]
ROWS_AT_A_TIME = 128  # half a MB in float64 at 512 dimensions: they stay in the cache
TINY = 1e-36  # above all that squares of float32 lose when they are too small for it, times any width


class Tile(NamedTuple):
    """Some rows, centred and in the space's unit of length, ready for matrix products."""

    rows: NDArray[np.floating[Any]]  # (n, D)
    half_square: NDArray[np.floating[Any]]  # (n,) |x|^2 / 2
    radius: float  # the largest |x|


@dataclass(frozen=True, eq=False)
class Space:
    r"""Distances between rows: Euclidean, or Euclidean between rows scaled to unit norm (cosine).

    For unit rows :math:`|x - y|^2 = 2 - 2 \cos(x, y)`, so both orders are the same. What is compared is the
    *nearness* :math:`-|x - y|^2 / 2`: larger is nearer.

    Parameters
    ----------
    centre : ndarray, float64, (D,)
        Taken from all rows before products are made: distances stay, rounding errors shrink.
    unit : float
        A power of two by which rows are multiplied, so that no norm is above 1: squares do not overflow.
    cosine : bool
    """

    centre: NDArray[np.float64]
    unit: float
    cosine: bool

    @staticmethod
    def around(*sides: NDArray[np.floating[Any]], distance: Distance) -> Space:
        """The space of all rows of some arrays (N, D).

        Raises
        ------
        ConfigError
            If ``distance`` is neither ``"euclidean"`` nor ``"cosine"``.
        DataError
            If a value is not finite, or a row has norm 0 and the cosine is asked for.
        """
        if distance not in ("euclidean", "cosine"):
            raise ConfigError(f"distance is {distance!r}; expected 'euclidean' or 'cosine'.")
        cosine = distance == "cosine"
        bound = max(_bound_of_norms(rows, cosine) for rows in sides)
        unit = 2.0 ** -np.ceil(np.log2(bound)) if bound else 1.0
        origin = Space(np.zeros(sides[0].shape[1]), float(unit), cosine)
        total = np.sum([origin._scaled(rows[part]).sum(axis=0) for rows in sides for part in _parts(rows)], axis=0)
        return Space(total / sum(len(rows) for rows in sides), float(unit), cosine)

    def _scaled(self, rows: NDArray[np.floating[Any]]) -> NDArray[np.float64]:
        scaled = rows.astype(np.float64)
        scaled *= self.unit
        if self.cosine:
            scaled /= np.sqrt(np.square(scaled).sum(axis=1, keepdims=True))
        return scaled

    def tile(self, rows: NDArray[np.floating[Any]], dtype: type[np.floating[Any]]) -> Tile:
        """Rows (n, D), made ready for `nearness` in float32 or float64."""
        centred = self._scaled(rows)
        centred -= self.centre
        ready = centred.astype(dtype)
        square = np.einsum("nd,nd->n", ready, ready, dtype=np.float64)
        return Tile(ready, (square / 2).astype(dtype), float(np.sqrt(square.max(initial=0.0))))

    def nearness(
        self, queries: Tile, items: Tile, out: NDArray[np.floating[Any]] | None = None
    ) -> NDArray[np.floating[Any]]:
        """``-|x - y|^2 / 2`` of each query and item, (n, m), by a matrix product; off by `error` at most."""
        out = np.matmul(queries.rows, items.rows.T, out=out)
        out -= items.half_square
        out -= queries.half_square[:, None]
        return out

    def error(self, queries: Tile, items: Tile) -> float:
        r"""Bound of the rounding error of `nearness`, whatever the order of summation.

        With u the unit roundoff, a sum of D products is off by at most :math:`\gamma_D |x| |y|`,
        :math:`\gamma_D = D u / (1 - D u)` (Higham, Accuracy and Stability of Numerical Algorithms, 2nd ed., §3.1).
        Rounding of the rows, their squares and the two differences add less than :math:`8 u (|x| + |y|)^2`.
        """
        u = float(np.finfo(queries.rows.dtype).eps) / 2
        terms = queries.rows.shape[1] * u
        reach = queries.radius + items.radius
        product = terms / (1 - terms) * queries.radius * items.radius
        return product + 8 * u * reach**2 + self.float64_error(reach) + TINY

    def float64_error(self, reach: float) -> float:
        """Bound of what scaling, centring and `exact` lose in float64, for rows less than ``reach`` apart."""
        u = float(np.finfo(np.float64).eps) / 2
        return 8 * (len(self.centre) + 4) * u * (1 + reach) * reach  # no norm is above 1 before centring

    def exact(self, queries: NDArray[np.floating[Any]], items: NDArray[np.floating[Any]]) -> NDArray[np.float64]:
        """``|x - y|^2`` of pairs of rows, (n, D) and (n, D), by plain differences in float64: what decides."""
        found = np.empty(len(queries))
        for part in _parts(queries):
            difference = self._scaled(queries[part])
            difference -= self._scaled(items[part])
            found[part] = np.square(difference, out=difference).sum(axis=1)
        return found


def _parts(rows: NDArray[Any]) -> Iterator[slice]:
    return (slice(start, start + ROWS_AT_A_TIME) for start in range(0, len(rows), ROWS_AT_A_TIME))


def _bound_of_norms(rows: NDArray[np.floating[Any]], cosine: bool) -> float:
    """No row has a larger norm. Raises `DataError` for a row that cannot be compared."""
    largest = 0.0
    for part in _parts(rows):
        peak = np.abs(rows[part]).max(axis=1).astype(np.float64)
        bad = np.flatnonzero(~np.isfinite(peak))
        if len(bad):
            raise DataError(f"embedding row {part.start + bad[0]} is not finite; embed its image again.")
        if cosine and not peak.all():
            raise DataError(
                f"embedding row {part.start + np.flatnonzero(peak == 0)[0]} is all zeros, which has no cosine; "
                "take the Euclidean distance."
            )
        largest = max(largest, float(peak.max()))
    return largest * float(np.sqrt(rows.shape[1]))
