"""Find the row of an id at once, in 16 bytes of memory per row.

`CatalogIndex.find_ids` reads all ids, which suits many ids at a time. A server is asked for one at a time.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from serve_cli.retrieval.index.catalog import CatalogIndex


class IdRows:
    """The rows of an index by id. Reading all ids once takes about 0.3 s for a million.

    Parameters
    ----------
    catalog : CatalogIndex
        Stays open.
    """

    def __init__(self, catalog: CatalogIndex) -> None:
        hashes = np.empty(catalog.total, np.int64)
        for segment in catalog.segments:
            for first, batch in segment.batches(["id"]):
                ids = batch["id"].to_pylist()
                hashes[first : first + len(ids)] = np.fromiter(map(hash, ids), np.int64, len(ids))
        self._catalog, self._order = catalog, np.argsort(hashes, kind="stable")
        self._hashes = hashes[self._order]

    def find(self, name: str) -> int | None:
        """Return the row of an id that is not deleted, the last if there are several, or None if there is none."""
        key = np.int64(hash(name))
        start, end = (np.searchsorted(self._hashes, key, side) for side in ("left", "right"))
        rows = self._order[start:end]
        rows = rows[self._catalog.live[rows]]
        if not len(rows):
            return None
        ids = self._catalog.table(rows, ["id"])["id"].to_pylist()
        return max((int(row) for row, other in zip(rows, ids, strict=True) if other == name), default=None)
