"""Collapse duplicates among results.

Two rows are duplicates if they have the same SHA-256 in the column ``sha256``, as `lifted embed --checksums` writes it,
or if their embeddings a and b are almost equal: ``|a - b| <= 1e-3 max(|a|, |b|)``. This is far more than another batch
size, device or storage type changes one photograph's embedding, and far less than the distance between different
photographs. A row is left out if it is a duplicate of a nearer result.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

SHA256 = "sha256"
ALMOST_EQUAL = 1e-3  # times the larger norm


def first_of_duplicates(
    vectors: NDArray[np.float32], query: NDArray[np.float32], hashes: Sequence[str | None], limit: int
) -> list[int]:
    """Select results that are not duplicates of nearer ones.

    Parameters
    ----------
    vectors : ndarray, float32, (n, D)
        Embeddings of the results, nearest first.
    query : ndarray, float32, (D,)
        As the index compares it: of unit norm for cosine.
    hashes : sequence of str or None, (n,)
        SHA-256 of the files, where known.
    limit : int
        Largest number of results.

    Returns
    -------
    list of int
        Positions among the results, ascending.

    Notes
    -----
    By the triangle inequality a duplicate is about as far from the query as its original. Only results at such a
    distance are compared, so the work is almost linear in n.
    """
    wide = vectors.astype(np.float64)
    norms = np.linalg.norm(wide, axis=1)
    apart = np.linalg.norm(wide - query, axis=1)  # Euclidean, also for cosine
    slack = 2 * ALMOST_EQUAL * float(norms.max(initial=0.0))
    kept: list[int] = []
    seen: set[str] = set()
    by_distance: list[tuple[float, int]] = []  # kept results, sorted
    for position, sha256 in enumerate(hashes):
        if len(kept) == limit:
            break
        distance = float(apart[position])
        start = bisect_left(by_distance, (distance - slack, -1))
        end = bisect_left(by_distance, (distance + slack, len(hashes)))
        near = [other for _, other in by_distance[start:end]]
        gaps = np.linalg.norm(wide[near] - wide[position], axis=1)
        is_near = bool((gaps <= ALMOST_EQUAL * np.maximum(norms[near], norms[position])).any())
        if is_near or (sha256 is not None and sha256 in seen):
            continue
        kept.append(position)
        insort(by_distance, (distance, position))
        if sha256 is not None:
            seen.add(sha256)
    return kept
