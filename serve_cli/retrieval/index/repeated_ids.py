"""Find the rows of an index that repeat the id of an earlier row."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from gluon_lifted.errors import DataError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from serve_cli.retrieval.index.catalog import CatalogIndex
    from serve_cli.retrieval.index.segment import Segment


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
                "embedding folder; give every image a unique id, and embed again."
            )
        repeated.append(row)
    return np.array(repeated, np.int64)
