"""Search an index with the queries of a request, in a thread."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from serve_cli.http.errors import RequestError
from serve_cli.http.gallery import Gallery
from serve_cli.http.parsing.search_request import RowId
from serve_cli.retrieval.search.as_json import json_value
from serve_cli.retrieval.search.matches import OWN_COLUMNS
from serve_cli.retrieval.search.query import Query, combine_weighted
from serve_cli.retrieval.search.search_options import SearchOptions
from serve_cli.retrieval.search.search_rows import RowSearch
from serve_cli.retrieval.search.where.condition_error import ConditionError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from gluon_lifted.images import DecodeLimits
    from serve_cli.http.parsing.search_request import SearchRequest, WeightedQuery
    from serve_cli.retrieval.index.catalog import CatalogIndex


@dataclass(frozen=True, eq=False)
class IndexSearch:
    """Searches an index.

    Parameters
    ----------
    catalog : CatalogIndex
        The index.
    gallery : Gallery
        Finds rows by their ids.
    """

    catalog: CatalogIndex
    gallery: Gallery

    @classmethod
    def of(cls, catalog: CatalogIndex, limits: DecodeLimits) -> IndexSearch:
        """Search a catalog. Pictures are decoded within ``limits``. Everything that is read only once is read now."""
        catalog.nearest(np.zeros((1, catalog.dim), np.float32), 1)
        return cls(catalog, Gallery(catalog, limits))

    def search(self, request: SearchRequest, embeddings: Sequence[NDArray[np.float32]]) -> list[dict[str, Any]]:
        """Return matches in JSON types.

        Parameters
        ----------
        request : SearchRequest
            What to search for.
        embeddings : sequence of ndarray, float32, (D,)
            Embeddings of the queries that are images, in their order.

        Raises
        ------
        RequestError
            404 for an id that does not exist; 422 for a condition that does not parse.
        DataError
            If a column does not exist, or the queries cancel out.
        """
        columns = self._columns() if request.columns is None else request.columns
        options = SearchOptions(
            k=request.k,
            where=request.where,
            max_distance=request.max_distance,
            unique=request.unique,
            columns=columns,
        )
        search = self._row_search(options)
        (matches,) = search.search([self._query(request.queries, embeddings)])
        return [
            {
                "rank": match.rank,
                "distance": match.distance,
                "id": match.id,
                "label": match.label,
                "columns": {name: json_value(value) for name, value in match.columns.items()},
            }
            for match in matches
        ]

    def _columns(self) -> tuple[str, ...]:
        """Return the carried columns, without the server's paths."""
        return tuple(name for name in self.catalog.schema.names if name not in OWN_COLUMNS)

    def _row_search(self, options: SearchOptions) -> RowSearch:
        try:
            return RowSearch(self.catalog, options)
        except ConditionError as error:
            message = f"where, character {error.position + 1}: {error.problem}"
            raise RequestError(422, message, {"position": error.position}) from None

    def _query(self, queries: Sequence[WeightedQuery], embeddings: Sequence[NDArray[np.float32]]) -> Query:
        """Combine the queries of a request. Rows that are queries are left out of the results."""
        embedded = iter(embeddings)
        members: list[tuple[Query, float]] = []
        own_rows: list[int] = []
        for query in queries:
            if isinstance(query.source, RowId):
                own_rows.append(self.gallery.row(query.source.id))
                vector = self.catalog.vectors(np.array(own_rows[-1:]))[0]
            else:
                vector = query.source if isinstance(query.source, np.ndarray) else next(embedded)
            members.append((Query(query.name, vector), query.weight))
        if len(members) == 1:
            return replace(members[0][0], own_rows=tuple(own_rows))
        return replace(combine_weighted(members, self.catalog.distance), own_rows=tuple(own_rows))
