"""Find ids that occur more than once before anything is written."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pyarrow.compute as pc

from gluon_lifted.errors import DataError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from serve_cli.embeddings.stream import EmbeddedBatch, EmbeddingStream


def repeated_rows(stream: EmbeddingStream) -> NDArray[np.int64]:
    """Return the numbers of the rows that repeat the id and the embedding of an earlier row, ascending.

    The ids are read once, with 8 bytes of memory a row. Embeddings are compared only if hashes of ids are equal.

    Raises
    ------
    DataError
        If an id occurs twice with different embeddings.
    """
    hashes = [_hashes(batch) for batch in stream.batches()]
    if not hashes:
        return np.empty(0, np.int64)
    ordered = np.sort(np.concatenate(hashes))
    suspects = np.unique(ordered[1:][ordered[1:] == ordered[:-1]])
    if not len(suspects):
        return np.empty(0, np.int64)
    first: dict[str, NDArray[np.float32]] = {}
    repeated: list[int] = []
    start = 0
    for batch, batch_hashes in zip(stream.batches(), hashes, strict=True):
        for row in np.flatnonzero(np.isin(batch_hashes, suspects)).tolist():
            identifier = batch.table["id"][row].as_py()
            if identifier not in first:
                first[identifier] = batch.embedding[row].copy()
            elif np.array_equal(first[identifier], batch.embedding[row]):
                repeated.append(start + row)
            else:
                raise DataError(
                    f"{stream.folder}: the id {identifier!r:.200} occurs twice with different embeddings; every image "
                    "needs an id of its own: remove one of the two rows from the source and embed again."
                )
        start += len(batch)
    return np.array(repeated, np.int64)


def without_rows(batch: EmbeddedBatch, rows: NDArray[np.int64]) -> EmbeddedBatch:
    """Return a batch without some of its rows."""
    if not len(rows):
        return batch
    kept = np.setdiff1d(np.arange(len(batch)), rows)
    return type(batch)(batch.table.take(kept), batch.embedding[kept])


def _hashes(batch: EmbeddedBatch) -> NDArray[np.int64]:
    """Hash the ids, (n,), with Python's keyed hash: nobody can construct many collisions."""
    return np.fromiter(map(hash, pc.cast(batch.table["id"], "string").to_pylist()), np.int64, len(batch))
