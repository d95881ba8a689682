"""Rows of one side, made ready for tiles."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from gluon_lifted.metrics.ranking.counting import LANES

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from gluon_lifted.metrics.ranking.distance import Space, Tile
    from gluon_lifted.metrics.ranking.exact import Distinct
    from gluon_lifted.metrics.ranking.search import Side

FAR = 1e6  # |x|^2 / 2 of padding: no row's is above 2


@dataclass(frozen=True, eq=False)
class Block:
    """Some rows, converted when a tile first needs them, and padded to a multiple of 8 with rows that are far away.

    Parameters
    ----------
    space : Space
    side : Side
        Queries or gallery.
    places : slice
        Of the side.
    left : bool
        Factor of a tile's product: queries are the left one, items the right one.
    """

    space: Space
    side: Side
    places: slice
    left: bool

    def __len__(self) -> int:
        return len(self.classes)

    @cached_property
    def classes(self) -> NDArray[np.int64]:
        """Class of each row, without the padding."""
        return self.side.classes[self.places]

    @property
    def padding(self) -> int:
        """Rows that are missing to a multiple of 8."""
        return -len(self) % LANES

    @cached_property
    def float32(self) -> Tile:
        """Factor in float32, (n, D + 2)."""
        return self._factor(np.float32)

    @cached_property
    def float64(self) -> Tile:
        """Factor in float64, (n, D + 2)."""
        return self._factor(np.float64)

    @cached_property
    def distinct(self) -> Distinct:
        """Rows for exact differences, without the padding."""
        return self.space.distinct(self.side.take(self.places))

    def _factor(self, dtype: type[np.floating[Any]]) -> Tile:
        tile = self.space.tile(self.side.take(self.places), dtype)
        if self.padding:
            half_square = np.pad(tile.half_square, (0, self.padding), constant_values=FAR)
            tile = tile._replace(rows=np.pad(tile.rows, ((0, self.padding), (0, 0))), half_square=half_square)
        return tile.left() if self.left else tile.right()
