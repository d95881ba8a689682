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
        The photograph, if an index or an embedding folder names it. Such a path is not trusted.
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
        """Name without folders, for pages that are passed on, or the whole id of a row."""
        return self.name if self.image is None else PurePath(self.name).name


def combine_queries(positives: Sequence[Query], negatives: Sequence[Query], distance: Distance) -> Query:
    r"""Combine several photographs into one query.

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
        others alone would be a different query.

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
        raise ConfigError("a combined query needs at least one photograph that is not given with --without.")
    return combine_weighted([(query, 1.0) for query in positives] + [(query, -1.0) for query in negatives], distance)


def combine_weighted(members: Sequence[tuple[Query, float]], distance: Distance) -> Query:
    r"""Combine queries of different weights into one; see `combine_queries`, whose weights are 1 and -1.

    Parameters
    ----------
    members : sequence of (Query, float)
        Queries and their weights, other than 0, at least one positive.
    distance : {"euclidean", "cosine"}
        Distance of the index.

    Returns
    -------
    Query
        Shown with the image of the first positive member. Its own rows are those of the positive members.

    Raises
    ------
    DataError
        If the members cancel out for cosine.

    Notes
    -----
    With the weights :math:`w` of the positive and :math:`v` of the negative members, and :math:`\bar w, \bar v` their
    means,

    .. math:: q = \frac{\sum_i w_i u(p_i)}{\sum_i w_i} - \frac{\bar v}{\bar w} \frac{\sum_j v_j u(n_j)}{\sum_j v_j}

    so scaling all weights changes nothing, and -0.5 counts half as much as -1.
    """
    positives = [(query, weight) for query, weight in members if weight > 0]
    negatives = [(query, -weight) for query, weight in members if weight < 0]
    name = " + ".join(query.file_name for query, _ in positives)
    name += "".join(f" - {query.file_name}" for query, _ in negatives)
    first = positives[0][0]
    own_rows = tuple(row for query, _ in positives for row in query.own_rows)
    failed = next((query for query, _ in (*positives, *negatives) if query.error is not None), None)
    if failed is not None:
        return replace(first, name=name, error=f"{failed.name}: {failed.error}", own_rows=own_rows)
    combined = _mean(positives, distance)
    if negatives:
        strength = _mean_weight(negatives) / _mean_weight(positives)
        combined = combined - strength * _mean(negatives, distance)
    if distance == "cosine" and np.linalg.norm(combined) < 1e-6:
        raise DataError(f"{name:.500}: positives and negatives cancel out; leave some of them out.")
    return replace(first, name=name, embedding=combined.astype(np.float32), own_rows=own_rows)


def _mean(members: Sequence[tuple[Query, float]], distance: Distance) -> NDArray[np.float64]:
    embedding = np.stack([query.embedding for query, _ in members]).astype(np.float64)
    if distance == "cosine":
        embedding /= np.maximum(np.linalg.norm(embedding, axis=1, keepdims=True), np.finfo(np.float32).tiny)
    return np.asarray(np.average(embedding, axis=0, weights=[weight for _, weight in members]))


def _mean_weight(members: Sequence[tuple[Query, float]]) -> float:
    return sum(weight for _, weight in members) / len(members)
