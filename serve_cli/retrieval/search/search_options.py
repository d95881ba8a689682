"""Options of a search."""

from __future__ import annotations

import math
from dataclasses import dataclass

from gluon_lifted.errors import ConfigError

MAX_RESULTS = 1_000_000  # per query, after k was limited to the rows that exist


@dataclass(frozen=True, kw_only=True)
class SearchOptions:
    """Which rows a search returns.

    Parameters
    ----------
    k : int
        Number of rows per query. Fewer are returned only if fewer exist.
    where : str, optional
        A condition on columns; see `serve_cli.retrieval.search.where.parser.parse_condition`.
    max_distance : float, optional
        Return no rows beyond this distance.
    unique : bool
        Return one row of each group of duplicates; see `serve_cli.retrieval.search.duplicates`.
    columns : tuple of str
        Columns to return in `Match.columns`. Id, path and label are always returned.

    Raises
    ------
    ConfigError
        If ``k`` is less than 1, or ``max_distance`` is negative or not a number.
    """

    k: int = 10
    where: str | None = None
    max_distance: float | None = None
    unique: bool = False
    columns: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.k < 1:
            raise ConfigError(f"k is {self.k}; expected 1 or more.")
        if self.max_distance is not None and (math.isnan(self.max_distance) or self.max_distance < 0):
            raise ConfigError(f"the largest distance is {self.max_distance}; expected 0 or more.")
