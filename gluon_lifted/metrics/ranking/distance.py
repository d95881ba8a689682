"""Distances between rows: fast with a known error bound, or exactly as a loop in float64 computes them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import chain
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from gluon_lifted.errors import ConfigError, DataError
from gluon_lifted.metrics.ranking.exact import (
    Distinct,
    distinct,
    squared_distances,
    sum_in_order,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from gluon_lifted.metrics.choices import Distance

VALUES_AT_A_TIME = 1 << 16  # half a MB in float64, which fits into the cache
SAMPLE = 500  # rows from which the center is computed
FINEST = 2.0**50  # largest squared norm, in steps of a grid, for which the grid is useful
OUTLIER = 1e6  # times the median squared norm
WIDEST_CODE = 1 << 20  # columns up to which float32 products of binary codes are exact
TINY = 1e-36  # bounds what float32 squares lose to underflow, at any width


class PreparedRows(NamedTuple):
    """Rows that are centered and scaled to the metric's unit of length, ready for matrix products."""

    rows: NDArray[np.floating[Any]]  # (n, D)
    half_square: NDArray[np.floating[Any]]  # (n,) |x|^2 / 2
    radius: float  # the largest |x|
    grid: float = 0.0  # all coordinates are multiples of this power of two; 0 if unknown

    @property
    def has_outlier(self) -> bool:
        """Whether a row is so far away that products of all rows lose precision."""
        return bool(self.half_square.max() > OUTLIER * np.median(self.half_square))

    def part(self, rows: slice) -> PreparedRows:
        """Select some of the rows."""
        return self._replace(rows=self.rows[rows], half_square=self.half_square[rows])

    def left(self) -> PreparedRows:
        """Return the left factor, (n, D + 2): its product with `right`, transposed, is the similarity."""
        return self._with(-self.half_square, -1)

    def right(self) -> PreparedRows:
        """Return the right factor, (m, D + 2)."""
        return self._with(1, self.half_square)

    def _with(self, second_last: NDArray[Any] | int, last: NDArray[Any] | int) -> PreparedRows:
        wide = np.empty((len(self.rows), self.rows.shape[1] + 2), self.rows.dtype)
        wide[:, :-2], wide[:, -2], wide[:, -1] = self.rows, second_last, last
        return self._replace(rows=wide)


@dataclass(frozen=True, eq=False)
class DistanceMetric:
    r"""Euclidean distance between rows, or between rows scaled to unit norm (cosine).

    For unit rows :math:`|x - y|^2 = 2 - 2 \cos(x, y)`, so both give the same order. The *similarity*
    :math:`-|x - y|^2 / 2` is compared: larger is nearer.

    The order of two pairs is defined by their squared distances in float64: rows are converted to float64 (for cosine
    also divided by their norm), and squared differences are added from the first column to the last. Matrix products
    decide if their rounding error cannot change the order, otherwise `exact` or `exact_tile` decides.

    Parameters
    ----------
    center : ndarray, float64, (D,)
        Subtracted from all rows before products, which reduces rounding errors and keeps distances. The median of
        some rows: outliers do not move it, and it is on the grid of the rows.
    unit : float
        Power of two by which rows are multiplied, so that no norm exceeds 1 and squares do not overflow.
    cosine : bool
        Whether rows are scaled to unit norm.
    grid : float
        Power of two of which centered coordinates are multiples, as for binary codes and quantized embeddings. Found
        from some rows; `prepare` checks all. 0 if there is no such grid.
    gap : float
        Difference of the two values of each column, if it is the same in all columns: binary codes of any scale. The
        sum of the loop then grows with the number of different columns, which products of the codes count exactly.
        0 otherwise.
    """

    center: NDArray[np.float64]
    unit: float
    cosine: bool
    grid: float = 0.0
    gap: float = 0.0

    @staticmethod
    def fit(*arrays: NDArray[np.floating[Any]], distance: Distance) -> DistanceMetric:
        """Choose center, unit and grid for the rows of some arrays (N, D).

        Raises
        ------
        ConfigError
            If ``distance`` is neither ``"euclidean"`` nor ``"cosine"``.
        DataError
            If a value is not finite, or the distance is cosine and a row has norm 0.
        """
        if distance not in ("euclidean", "cosine"):
            raise ConfigError(f"distance is {distance!r}; expected 'euclidean' or 'cosine'.")
        cosine = distance == "cosine"
        bound = max(_bound_of_norms(rows, cosine=cosine) for rows in arrays)
        unit = 2.0 ** -np.ceil(np.log2(bound)) if bound else 1.0
        origin = DistanceMetric(np.zeros(arrays[0].shape[1]), float(unit), cosine)
        sample = np.concatenate([origin._scaled(rows[:: max(1, len(rows) // SAMPLE)]) for rows in arrays])
        middle = (len(sample) - 1) // 2
        center = np.partition(sample, middle, axis=0)[middle]
        metric = DistanceMetric(center, float(unit), cosine, _common_grid(sample - center))
        return replace(metric, gap=metric._find_gap(sample, arrays))

    def _find_gap(self, sample: NDArray[np.float64], arrays: Sequence[NDArray[np.floating[Any]]]) -> float:
        gap = float(np.abs(sample - self.center).max())
        up = down = np.zeros(len(self.center), bool)  # columns with a value above the center, and below
        chunks = (self._scaled(rows[part]) for rows in arrays for part in _parts(rows))
        for centered in (scaled - self.center for scaled in chain([sample], chunks)):
            up, down = up | (centered > 0).any(axis=0), down | (centered < 0).any(axis=0)
            if (up & down).any() or not np.isin(centered, (-gap, 0, gap)).all():
                return 0.0
        return gap if len(self.center) < WIDEST_CODE else 0.0

    def _scaled(self, rows: NDArray[np.floating[Any]]) -> NDArray[np.float64]:
        scaled = rows.astype(np.float64)
        scaled *= self.unit
        if self.cosine:
            scaled /= np.sqrt(sum_in_order(np.square(scaled)))[:, None]
        return scaled

    def prepare(self, rows: NDArray[np.floating[Any]], dtype: type[np.floating[Any]]) -> PreparedRows:
        """Prepare rows (n, D) for `similarity` in float32 or float64."""
        ready = np.empty(rows.shape, dtype)
        square = np.empty(len(rows))
        grid = self.grid
        for part in _parts(rows):
            scaled = self._scaled(rows[part])
            centered = scaled - self.center
            if self.gap:
                centered, grid = centered / self.gap, 1.0
            elif grid and not _on_grid(centered, scaled, self.center, grid):
                grid = 0.0
            ready[part] = centered
            square[part] = np.einsum("nd,nd->n", ready[part], ready[part], dtype=np.float64)
        return PreparedRows(ready, (square / 2).astype(dtype), float(np.sqrt(square.max(initial=0.0))), grid)

    def similarity(
        self, queries: PreparedRows, items: PreparedRows, out: NDArray[np.floating[Any]] | None = None
    ) -> NDArray[np.floating[Any]]:
        """Compute ``-|x - y|^2 / 2`` of each query and item, (n, m), by a matrix product. Off by at most `error`."""
        out = np.matmul(queries.rows, items.rows.T, out=out)
        out -= items.half_square
        out -= queries.half_square[:, None]
        return out

    def error(self, queries: PreparedRows, items: PreparedRows) -> float:
        r"""Bound the rounding error of `similarity`, and of `PreparedRows.left` times `PreparedRows.right`.

        The bound holds for any order of summation.

        With u the unit roundoff, a sum of n products is off by at most :math:`\gamma_n` times the sum of their
        absolute values, :math:`\gamma_n = n u / (1 - n u)` (Higham, Accuracy and Stability of Numerical Algorithms,
        2nd ed., §3.1). Here that sum is at most :math:`|x| |y| + |x|^2 / 2 + |y|^2 / 2 = (|x| + |y|)^2 / 2`. Rounding
        of the rows and their squares adds less than :math:`8 u (|x| + |y|)^2`. Rounding in `exact` and in the
        subtraction of the center adds less than ``loss`` times :math:`(|x| + |y|)^2`.

        On a grid g all terms and sums are multiples of :math:`g^2 / 2`, and at most :math:`(|x| + |y|)^2 / 2`. Nothing
        is rounded if that is at most :math:`1 / 2u` times :math:`g^2 / 2`.
        """
        u = float(np.finfo(queries.rows.dtype).eps) / 2
        reach = queries.radius + items.radius
        if reach**2 <= min(queries.grid, items.grid) ** 2 / (2 * u):
            return 0.0
        terms = (queries.rows.shape[1] + 2) * u
        loss = 2 * (len(self.center) + 4) * float(np.finfo(np.float64).eps)
        return (terms / (1 - terms) / 2 + 8 * u + loss) * reach**2 + TINY

    def exact(self, queries: NDArray[np.floating[Any]], items: NDArray[np.floating[Any]]) -> NDArray[np.float64]:
        """Compute ``|x - y|^2`` of pairs of rows, (n, D) and (n, D) -> (n,)."""
        square = np.empty(len(queries))
        for part in _parts(queries):
            difference = self._scaled(queries[part])
            difference -= self._scaled(items[part])
            square[part] = sum_in_order(np.square(difference, out=difference))
        return square

    def exact_tile(self, queries: NDArray[np.floating[Any]], items: NDArray[np.floating[Any]]) -> NDArray[np.float64]:
        """Compute ``|x - y|^2`` of each query and item, (n, D) and (m, D) -> (n, m), bit-identical to `exact`."""
        return squared_distances(self.distinct(queries), self.distinct(items))

    def distinct(self, rows: NDArray[np.floating[Any]]) -> Distinct:
        """Deduplicate rows (n, D) after scaling, as `exact` compares them."""
        return distinct(self._scaled(rows))


def _on_grid(difference: NDArray[np.float64], x: NDArray[np.float64], y: NDArray[np.float64], grid: float) -> bool:
    """Check that all x - y are multiples of ``grid`` and not rounded (TwoSum; Higham, as above, §4.3)."""
    steps = difference / grid
    back = difference - x
    lost = (x - (difference - back)) - (y + back)
    return bool((steps == np.rint(steps)).all()) and not lost.any()


def _common_grid(rows: NDArray[np.float64]) -> float:
    """Find a power of two of which most rows are multiples; 0 if float64 products are inexact on that grid."""
    fraction, exponent = np.frexp(rows)
    digits = np.ldexp(fraction, 53).astype(np.int64)
    lowest = np.ldexp((digits & -digits).astype(np.float64), exponent - 53)  # bit of each coordinate
    grids = np.where(rows == 0, 1.0, lowest).min(axis=1)  # no coordinate exceeds 2
    fine = np.square(rows).sum(axis=1) > FINEST * grids**2
    return 0.0 if 2 * np.count_nonzero(fine) > len(rows) else float(grids[~fine].min())


def _parts(rows: NDArray[Any]) -> Iterator[slice]:
    size = max(1, VALUES_AT_A_TIME // rows.shape[1])
    return (slice(start, start + size) for start in range(0, len(rows), size))


def _bound_of_norms(rows: NDArray[np.floating[Any]], *, cosine: bool) -> float:
    """Compute an upper bound of the norms of rows. Raises `DataError` for a row that cannot be compared."""
    largest = 0.0
    for part in _parts(rows):
        peak = np.abs(rows[part]).max(axis=1).astype(np.float64)
        bad = np.flatnonzero(~np.isfinite(peak))
        if len(bad):
            raise DataError(f"embedding row {part.start + bad[0]} contains NaN or infinity. Embed its image again.")
        if cosine and not peak.all():
            raise DataError(
                f"embedding row {part.start + np.flatnonzero(peak == 0)[0]} is all zeros, so its cosine is undefined. "
                "Use the Euclidean distance."
            )
        largest = max(largest, float(peak.max()))
    return largest * float(np.sqrt(rows.shape[1]))
