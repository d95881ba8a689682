"""A block of queries or of gallery rows, prepared for tiles."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from gluon_lifted.metrics.ranking.counting import LANES

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from gluon_lifted.metrics.ranking.distance import DistanceMetric, PreparedRows
    from gluon_lifted.metrics.ranking.exact import Distinct
    from gluon_lifted.metrics.ranking.search import OrderedRows

FAR = 1e6  # |x|^2 / 2 of padding; at most 2 for rows


@dataclass(frozen=True, eq=False)
class Block:
    """Rows that are converted on first use and padded to a multiple of 8 with far-away rows.

    Parameters
    ----------
    metric : DistanceMetric
        Prepares the rows.
    ordered : OrderedRows
        Queries or gallery.
    positions : slice
        Positions of the rows in the working order.
    left : bool
        Whether the block is the left factor of products (queries) or the right one (items).
    """

    metric: DistanceMetric
    ordered: OrderedRows
    positions: slice
    left: bool

    def __len__(self) -> int:
        return len(self.classes)

    @cached_property
    def classes(self) -> NDArray[np.int64]:
        """Class of each row, without the padding."""
        return self.ordered.classes[self.positions]

    @property
    def padding(self) -> int:
        """Number of padding rows, up to a multiple of 8."""
        return -len(self) % LANES

    @cached_property
    def float32(self) -> PreparedRows:
        """Factor in float32, (n, D + 2)."""
        return self._factor(np.float32)

    @cached_property
    def float64(self) -> PreparedRows:
        """Factor in float64, (n, D + 2)."""
        return self._factor(np.float64)

    @cached_property
    def distinct(self) -> Distinct:
        """Rows for exact differences, without the padding."""
        return self.metric.distinct(self.ordered.take(self.positions))

    def _factor(self, dtype: type[np.floating[Any]]) -> PreparedRows:
        rows = self.metric.prepare(self.ordered.take(self.positions), dtype)
        if self.padding:
            half_square = np.pad(rows.half_square, (0, self.padding), constant_values=FAR)
            rows = rows._replace(rows=np.pad(rows.rows, ((0, self.padding), (0, 0))), half_square=half_square)
        return rows.left() if self.left else rows.right()
