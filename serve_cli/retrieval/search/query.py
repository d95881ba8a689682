"""A query: an embedding to search with, and where it comes from."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import PurePath
from typing import TYPE_CHECKING

import numpy as np

from gluon_lifted.errors import ConfigError, DataError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from gluon_lifted.metrics.choices import Distance
    from serve_cli.sources.image_row import ImageRow


@dataclass(frozen=True, eq=False)
class Query:
    """An embedding to search with.

    Parameters
    ----------
    name : str
        Path of the photograph, or id of the row.
    embedding : ndarray, float32, (D,)
        NaN if there is an error.
    error : str, optional
        Why the query has no embedding.
    label : str, optional
        Name of its class, if known.
    image : ImageRow, optional
        The photograph, if the caller named it.
    path : str, optional
        The photograph, if an index or an embedding folder names it; such a path is not trusted.
    source : str, optional
        What the embedding folder names as the source of ``path``.
    own_rows : tuple of int
        Rows of the index that are left out of the results, because they are the query itself.
    """

    name: str
    embedding: NDArray[np.float32]
    error: str | None = None
    label: str | None = None
    image: ImageRow | None = None
    path: str | None = None
    source: str | None = None
    own_rows: tuple[int, ...] = ()

    @property
    def file_name(self) -> str:
        """Name without folders, for pages that are passed on; the whole id of a row."""
        return self.name if self.image is None else PurePath(self.name).name


def combine_queries(positives: Sequence[Query], negatives: Sequence[Query], distance: Distance) -> Query:
    r"""Combine several photographs to one query.

    Parameters
    ----------
    positives, negatives : sequence of Query
        What the results should be like, at least one, and what they should not be like.
    distance : {"euclidean", "cosine"}
        Distance of the index.

    Returns
    -------
    Query
        Shown with the image of the first positive. It has an error if one of the photographs has one, because the
        others alone would be another query.

    Raises
    ------
    ConfigError
        If there are no positives.
    DataError
        If positives and negatives cancel out for cosine, which then has no direction.

    Notes
    -----
    .. math:: q = \frac{1}{P} \sum_{i=1}^{P} u(p_i) - \frac{1}{N} \sum_{j=1}^{N} u(n_j)

    Without negatives the second mean is 0. For cosine, :math:`u(x) = x / \|x\|`, so that each photograph counts the
    same. For euclidean, :math:`u(x) = x`.
    """
    if not positives:
        raise ConfigError("a combined query needs at least one photograph besides --without.")
    members = (*positives, *negatives)
    name = " + ".join(query.file_name for query in positives) + "".join(f" - {query.file_name}" for query in negatives)
    first = positives[0]
    own_rows = tuple(row for query in positives for row in query.own_rows)
    failed = next((query for query in members if query.error is not None), None)
    if failed is not None:
        return replace(first, name=name, error=f"{failed.name}: {failed.error}", own_rows=own_rows)
    combined = _mean(positives, distance)
    if negatives:
        combined = combined - _mean(negatives, distance)
    if distance == "cosine" and np.linalg.norm(combined) < 1e-6:
        raise DataError(f"{name:.500}: positives and negatives cancel out; leave some of them out.")
    return replace(first, name=name, embedding=combined.astype(np.float32), own_rows=own_rows)


def _mean(queries: Sequence[Query], distance: Distance) -> NDArray[np.float64]:
    embedding = np.stack([query.embedding for query in queries]).astype(np.float64)
    if distance == "cosine":
        embedding /= np.maximum(np.linalg.norm(embedding, axis=1, keepdims=True), np.finfo(np.float32).tiny)
    return np.asarray(embedding.mean(axis=0))
