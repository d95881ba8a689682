"""Find rows whose ids may occur more than once, in 8 bytes of memory per row."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray


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
