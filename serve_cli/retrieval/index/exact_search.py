"""Exact nearest neighbors: products in float32 choose candidates within their error bound, float64 decides."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from gluon_lifted.errors import DataError
from serve_cli.embeddings.vectors import to_unit_norm

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

    from gluon_lifted.metrics.choices import Distance

NOTHING = -1  # row number where there are fewer than k neighbors
QUERIES = 256  # at a time; with 32,768 rows their products have 32 MB
UNIT = 2.0**-24  # relative rounding error of float32
SAFE = 1e30  # squares up to this do not overflow in float32


class Nearest(NamedTuple):
    """The nearest rows of some queries, nearest first. Ties keep the order of the rows."""

    rows: NDArray[np.int64]  # (Q, k), -1 for none
    distances: NDArray[np.float32]  # (Q, k), inf for none


class Block(NamedTuple):
    """Some rows of an index."""

    rows: NDArray[np.int64]  # (n,)
    vectors: NDArray[np.float32]  # (n, D)
    squares: NDArray[np.float32] | None = None  # (n,) squared norms, where they are known

    def only(self, kept: NDArray[np.bool_]) -> Block:
        """Select rows. Returns ``self`` if all are selected."""
        if kept.all():
            return self
        squares = None if self.squares is None else self.squares[kept]
        return Block(self.rows[kept], self.vectors[kept], squares)


def exact_nearest(queries: NDArray[np.float32], k: int, blocks: Iterable[Block], distance: Distance) -> Nearest:
    """Find the k nearest of all rows.

    Parameters
    ----------
    queries : ndarray, float32, (Q, D)
        Rows have unit norm for cosine.
    k : int
        Neighbors per query.
    blocks : iterable of Block
        The rows to compare, each once.
    distance : {"euclidean", "cosine"}
        Cosine distance is 1 - the product of rows, which have unit norm.
    """
    keys, rows = np.full((len(queries), k), np.inf), np.full((len(queries), k), NOTHING, np.int64)
    for block in blocks:
        for start in range(0, len(queries) if len(block.rows) else 0, QUERIES):
            part = slice(start, start + QUERIES)
            _merge_block(queries[part], block, distance, keys[part], rows[part])
    return Nearest(rows, to_distances(keys, distance))


def pair_keys(queries: NDArray[np.float32], vectors: NDArray[np.float32], distance: Distance) -> NDArray[np.float64]:
    """Compute what rows are ordered by, float64, (q, n): the squared distance, or 1 - the cosine.

    Parameters
    ----------
    queries : ndarray, float32, (q, D)
    vectors : ndarray, float32, (q, n, D)
        The vectors to compare with each query.
    distance : {"euclidean", "cosine"}
    """
    if distance == "cosine":
        products = np.matmul(vectors.astype(np.float64), queries.astype(np.float64)[:, :, None])[:, :, 0]
        return np.asarray(np.maximum(1 - products, 0))
    apart = np.subtract(vectors, queries[:, None], dtype=np.float64)
    return np.asarray(np.einsum("qnd,qnd->qn", apart, apart))


def to_distances(keys: NDArray[np.float64], distance: Distance) -> NDArray[np.float32]:
    """Convert the keys of `pair_keys` to distances."""
    return (keys if distance == "cosine" else np.sqrt(keys)).astype(np.float32)


def checked_queries(queries: NDArray[Any], dim: int, distance: Distance) -> NDArray[np.float32]:
    """Convert queries to the form that the index compares. Raises `DataError` unless they are (Q, dim) and finite."""
    numbers = np.ascontiguousarray(queries, np.float32)
    if numbers.ndim != 2 or numbers.shape[1] != dim:
        raise DataError(f"queries have shape {numbers.shape}; this index expects (queries, {dim}).")
    if not np.isfinite(numbers).all():
        raise DataError("a query has a number that is not finite; embed it again.")
    return to_unit_norm(numbers) if distance == "cosine" else numbers


def _merge_block(
    queries: NDArray[np.float32],
    block: Block,
    distance: Distance,
    keys: NDArray[np.float64],
    rows: NDArray[np.int64],
) -> None:
    """Merge a block's nearest rows into ``keys`` and ``rows``, (q, k), which are sorted."""
    k = keys.shape[1]
    approximate, bound = _approximate(queries, block, distance)
    limit = keys[:, -1] + bound
    full = np.isfinite(limit)
    if not full.all() and k <= len(block.rows):
        limit[~full] = np.partition(approximate[~full], k - 1, axis=1)[:, k - 1] + 2 * bound[~full]
    for query in range(len(queries)):
        near = np.flatnonzero(approximate[query] <= limit[query])
        if len(near):
            own = pair_keys(queries[[query]], block.vectors[None, near], distance)[0]
            merge_nearest(keys[query], rows[query], own, block.rows[near])


def merge_nearest(
    keys: NDArray[np.float64], rows: NDArray[np.int64], more_keys: NDArray[np.float64], more_rows: NDArray[np.int64]
) -> None:
    """Merge further rows, (n,), into the sorted nearest, (k,), in place; equal keys by row."""
    k = len(keys)
    all_keys, all_rows = np.concatenate([keys, more_keys]), np.concatenate([rows, more_rows])
    order = np.lexsort((all_rows, all_keys))[:k]
    keys[:], rows[:] = all_keys[order], all_rows[order]


def _approximate(
    queries: NDArray[np.float32], block: Block, distance: Distance
) -> tuple[NDArray[Any], NDArray[np.float64]]:
    """Return keys (q, n) from products, and how far each query's keys may be wrong, (q,)."""
    vectors: NDArray[Any] = block.vectors
    own: NDArray[np.float64] = np.einsum("qd,qd->q", queries, queries, dtype=np.float64)
    squares: NDArray[Any] = squared_norms(vectors) if block.squares is None else block.squares
    largest = float(squares.max())
    unit = UNIT
    if not max(largest, float(own.max(initial=0))) < SAFE:
        vectors, queries, unit = vectors.astype(np.float64), queries.astype(np.float64), 2.0**-53
        squares = np.einsum("nd,nd->n", vectors, vectors)
        largest = float(squares.max())
    products = queries @ vectors.T
    bound = (vectors.shape[1] + 8) * unit * ((np.sqrt(largest) + np.sqrt(own)) ** 2 + 1e-30)
    if distance == "cosine":
        return 1 - products, bound + 2 * unit
    products *= -2
    products += squares
    products += own[:, None].astype(products.dtype)
    return products, bound


def squared_norms(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    """Compute squared norms, float32, (n,)."""
    with np.errstate(over="ignore"):
        return np.asarray(np.einsum("nd,nd->n", vectors, vectors))
