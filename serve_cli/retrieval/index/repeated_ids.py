"""Find ids that occur more than once, in 8 bytes of memory per row."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from gluon_lifted.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from serve_cli.retrieval.index.catalog import CatalogIndex
    from serve_cli.retrieval.index.segment import Segment


class IdHashes:
    """Collects 64-bit hashes of ids, in the order of rows.

    Python's hash of texts has a secret key per process, so nobody can choose ids with equal hashes.
    """

    def __init__(self) -> None:
        self._hashes: list[NDArray[np.int64]] = []

    def add(self, ids: Sequence[str]) -> None:
        """Append the ids of the next rows."""
        self._hashes.append(np.fromiter(map(hash, ids), np.int64, len(ids)))

    def candidates(self) -> NDArray[np.int64]:
        """Return the rows whose hash occurs more than once, sorted by hash, then row, (n,)."""
        hashes = np.concatenate([np.empty(0, np.int64), *self._hashes])
        order = np.argsort(hashes, kind="stable")
        equal = hashes[order[1:]] == hashes[order[:-1]]
        return order[np.append(equal, [False]) | np.append([False], equal)] if len(order) else order


def repeated_rows(index: CatalogIndex | Segment, candidates: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the rows that repeat an earlier row: equal id and equal vector, sorted, (n,).

    Raises
    ------
    DataError
        If an id occurs twice with different vectors. It names both rows.
    """
    ids = index.table(candidates, ["id"])["id"].to_pylist()
    first: dict[str, int] = {}
    repeated = []
    for row, name in sorted(zip(candidates.tolist(), ids, strict=True)):
        if name not in first:
            first[name] = row
            continue
        pair = index.vectors(np.array([first[name], row]))
        if not np.array_equal(pair[0], pair[1]):
            raise DataError(
                f"the id {name!r:.200} occurs twice with different embeddings, in rows {first[name]} and {row} of the "
                "embedding folder; give every image an id of its own."
            )
        repeated.append(row)
    return np.array(repeated, np.int64)
