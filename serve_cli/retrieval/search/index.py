"""Index: find the rows of a catalog that are most similar to a photograph."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from serve_cli.model.model_options import ModelOptions
from serve_cli.retrieval.index.catalog import CatalogIndex
from serve_cli.retrieval.search.query import combine_queries
from serve_cli.retrieval.search.query_model import open_query_model
from serve_cli.retrieval.search.query_sources import id_queries, photo_queries
from serve_cli.retrieval.search.search_options import SearchOptions
from serve_cli.retrieval.search.search_rows import RowSearch
from serve_cli.sources.given_images import given_images

if TYPE_CHECKING:
    import os
    from collections.abc import Iterable, Iterator, Sequence

    from serve_cli.model.embedder import Embedder
    from serve_cli.retrieval.search.matches import Matches
    from serve_cli.retrieval.search.query import Query
    from serve_cli.sources.given_images import GivenImage

QUERIES = 64  # searched at a time
RESULTS = 1 << 20  # of all queries that are searched at a time


@dataclass
class SearchTimes:
    """Seconds spent on the stages of a search."""

    embed_s: float = 0.0
    search_s: float = 0.0


@dataclass(eq=False)
class Index:
    """A catalog that can be searched with photographs. Open it with `Index.open`.

    Parameters
    ----------
    catalog : CatalogIndex
        The opened folder of `lifted index`.
    model : Path, optional
        The model, if it is no longer where the index says.
    model_options : ModelOptions
        How to run the model. It is opened by the first search with a photograph.

    Examples
    --------
    >>> with Index.open("catalog.index") as index:  # doctest: +SKIP
    ...     for match in index.search(["photo.jpg"], k=5)[0]:
    ...         print(match.distance, match.path)
    """

    catalog: CatalogIndex
    model: Path | None = None
    model_options: ModelOptions = ModelOptions()
    _embedder: Embedder | None = field(default=None, init=False)

    @classmethod
    def open(
        cls,
        path: str | os.PathLike[str],
        model: str | os.PathLike[str] | None = None,
        model_options: ModelOptions = ModelOptions(),
    ) -> Index:
        """Open a folder of `lifted index`.

        Parameters
        ----------
        path : path
            The folder.
        model : path, optional
            The model that embedded the catalog, if it is no longer where the index says.
        model_options : ModelOptions
            How to run the model.

        Returns
        -------
        Index
            Close it, or use it as a context manager.

        Raises
        ------
        RunError
            If the index is missing, damaged or of another version.

        Examples
        --------
        >>> index = Index.open("catalog.index", model="models/cars.onnx")  # doctest: +SKIP
        """
        return cls(CatalogIndex.open(path), None if model is None else Path(model), model_options)

    def search(
        self,
        photos: Iterable[GivenImage],
        k: int = 10,
        *,
        where: str | None = None,
        max_distance: float | None = None,
        unique: bool = False,
        columns: Sequence[str] = (),
        combine: bool = False,
        without: Iterable[GivenImage] = (),
    ) -> list[Matches]:
        """Search with photographs.

        Parameters
        ----------
        photos : iterable of path, bytes or PIL.Image.Image
            Paths or URLs, contents of image files, and Pillow's images.
        k, where, max_distance, unique, columns
            See `SearchOptions`.
        combine : bool
            Search once, with all photographs together; see `combine_queries`.
        without : iterable of path, bytes or PIL.Image.Image
            What the results should not be like; implies ``combine``.

        Returns
        -------
        list of Matches
            One per photograph, in their order, or a single one if combined. A photograph that cannot be read has an
            ``error`` and no rows.

        Raises
        ------
        ConfigError
            If ``k`` is less than 1, or ``max_distance`` is negative or not a number.
        ConditionError
            If ``where`` cannot be parsed.
        DataError
            If a column does not exist.
        RunError
            If the model is missing, or is not the one that embedded the catalog.

        Examples
        --------
        >>> matches = index.search(["photo.jpg"], k=3, where="price < 50", columns=["price"])[0]  # doctest: +SKIP
        >>> matches.ids, matches.distances.shape  # doctest: +SKIP
        (['7.jpg', '3.jpg', '9.jpg'], (3,))
        """
        options = SearchOptions(k=k, where=where, max_distance=max_distance, unique=unique, columns=tuple(columns))
        search = RowSearch(self.catalog, options)  # first: refused before a photograph is embedded
        queries = photo_queries(self.embedder(), given_images(photos))
        negatives = list(photo_queries(self.embedder(), given_images(without)))
        if combine or negatives:
            queries = iter([combine_queries(list(queries), negatives, self.catalog.distance)])
        return list(search_each(search, queries))

    def search_ids(
        self,
        ids: Sequence[str],
        k: int = 10,
        *,
        where: str | None = None,
        max_distance: float | None = None,
        unique: bool = False,
        columns: Sequence[str] = (),
        include_self: bool = False,
    ) -> list[Matches]:
        """Search with rows of the index.

        Parameters
        ----------
        ids : sequence of str
            Ids of the rows.
        k, where, max_distance, unique, columns
            See `SearchOptions`.
        include_self : bool
            Return the row itself as well.

        Returns
        -------
        list of Matches
            One per id, in their order.

        Raises
        ------
        ConfigError
            If ``k`` is less than 1, or ``max_distance`` is negative or not a number.
        ConditionError
            If ``where`` cannot be parsed.
        DataError
            If an id or a column does not exist.

        Examples
        --------
        >>> index.search_ids(["7.jpg"], k=2)[0].ids  # doctest: +SKIP
        ['3.jpg', '9.jpg']
        """
        options = SearchOptions(k=k, where=where, max_distance=max_distance, unique=unique, columns=tuple(columns))
        search = RowSearch(self.catalog, options)
        return list(search_each(search, id_queries(self.catalog, ids, include_self=include_self)))

    def embedder(self) -> Embedder:
        """Open the index's model, once. Raises `RunError` if it is missing or another one."""
        if self._embedder is None:
            self._embedder = open_query_model(self.catalog, self.model, self.model_options)
        return self._embedder

    def close(self) -> None:
        """Release the files and the model. The index cannot be used afterwards."""
        self.catalog.close()
        if self._embedder is not None:
            self._embedder.close()

    def __enter__(self) -> Index:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()


def search_each(search: RowSearch, queries: Iterable[Query], times: SearchTimes | None = None) -> Iterator[Matches]:
    """Search with any number of queries, in order, a batch at a time.

    Parameters
    ----------
    search : RowSearch
        The index and the options.
    queries : iterable of Query
        Consumed lazily.
    times : SearchTimes, optional
        Updated after each batch.
    """
    times = times or SearchTimes()
    size = max(1, min(QUERIES, RESULTS // max(1, search.k)))
    iterator = iter(queries)
    while True:
        began = time.monotonic()
        batch = list(islice(iterator, size))
        embedded = time.monotonic()
        times.embed_s += embedded - began
        if not batch:
            return
        matches = search.search(batch)
        times.search_s += time.monotonic() - embedded
        yield from matches
