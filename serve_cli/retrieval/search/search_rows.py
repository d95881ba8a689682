"""Search an index: filter first, ask for more until k rows are found or none are left."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from gluon_lifted.errors import ConfigError, DataError
from serve_cli.retrieval.search.duplicates import SHA256, first_of_duplicates
from serve_cli.retrieval.search.matches import OWN_COLUMNS, Matches
from serve_cli.retrieval.search.search_options import MAX_RESULTS, SearchOptions
from serve_cli.retrieval.search.where.parser import parse_condition

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from serve_cli.retrieval.index.catalog import CatalogIndex
    from serve_cli.retrieval.search.query import Query


class RowSearch:
    """Searches an index with fixed options. The condition is evaluated once.

    Parameters
    ----------
    index : CatalogIndex
        Stays open.
    options : SearchOptions
        Which rows to return.

    Attributes
    ----------
    available : int
        Rows that meet the condition.

    Raises
    ------
    ConditionError
        If the condition cannot be parsed.
    DataError
        If a column does not exist.
    ConfigError
        If more than `MAX_RESULTS` rows per query are requested.
    """

    def __init__(self, index: CatalogIndex, options: SearchOptions) -> None:
        self._index, self._options = index, options
        unknown = [name for name in options.columns if name not in index.schema.names]
        if unknown:
            raise DataError(f"there is no column {unknown[0]!r:.100}; {index.path} has {_names(index)}.")
        self._columns = list(dict.fromkeys((*OWN_COLUMNS, *options.columns)))
        self._among: NDArray[np.int64] | None = None
        if options.where is not None:
            self._among = index.rows_where(parse_condition(options.where, index.schema))
        self.available = index.rows if self._among is None else len(self._among)
        self.k = min(options.k, self.available)
        if self.k > MAX_RESULTS:
            raise ConfigError(f"k is {options.k:,}; expected at most {MAX_RESULTS:,} of the {self.available:,} rows.")

    def search(self, queries: Sequence[Query]) -> list[Matches]:
        """Search with each query. Those with an error return no rows. Raises `DataError` for another dimension."""
        nothing = (np.empty(0, np.int64), np.empty(0, np.float32))
        results = [nothing for _ in queries]
        waiting = [number for number, query in enumerate(queries) if query.error is None and self.k]
        asked = self.k + max((len(query.own_rows) for query in queries), default=0)
        while waiting:
            asked = min(asked, self.available)
            embedding = np.stack([queries[number].embedding for number in waiting])
            nearest = self._index.nearest(embedding, asked, among=self._among)
            again = []
            for number, rows, distances in zip(waiting, nearest.rows, nearest.distances, strict=True):
                results[number] = self._selected(queries[number], rows, distances)
                if len(results[number][0]) < self.k and not self._is_exhausted(rows, distances):
                    again.append(number)
            waiting, asked = again, 2 * asked
        return [
            Matches(query, rows, distances, self._index.table(rows, self._columns), self._options.columns)
            for query, (rows, distances) in zip(queries, results, strict=True)
        ]

    def _is_exhausted(self, rows: NDArray[np.int64], distances: NDArray[np.float32]) -> bool:
        """Return whether asking for more rows cannot add any."""
        limit = self._options.max_distance
        return len(rows) >= self.available or rows[-1] < 0 or (limit is not None and bool(distances[-1] > limit))

    def _selected(
        self, query: Query, rows: NDArray[np.int64], distances: NDArray[np.float32]
    ) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """Return the first k rows that the options allow."""
        allowed = (rows >= 0) & ~np.isin(rows, np.array(query.own_rows, np.int64))
        if self._options.max_distance is not None:
            allowed &= distances <= self._options.max_distance
        rows, distances = rows[allowed], distances[allowed]
        if self._options.unique:
            kept = first_of_duplicates(self._index.vectors(rows), self._compared(query), self._hashes(rows), self.k)
            rows, distances = rows[kept], distances[kept]
        return rows[: self.k], distances[: self.k]

    def _compared(self, query: Query) -> NDArray[np.float32]:
        if self._index.distance != "cosine":
            return query.embedding
        norm = float(np.linalg.norm(query.embedding)) or 1.0
        return np.asarray(query.embedding / norm, np.float32)

    def _hashes(self, rows: NDArray[np.int64]) -> list[str | None]:
        if SHA256 not in self._index.schema.names:
            return [None] * len(rows)
        return list(self._index.table(rows, [SHA256])[SHA256].to_pylist())


def _names(index: CatalogIndex) -> str:
    return f"{', '.join(index.schema.names):.500}"
