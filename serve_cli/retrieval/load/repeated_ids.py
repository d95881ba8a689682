"""Find ids that occur more than once before anything is written."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from gluon_lifted.errors import DataError
from serve_cli.retrieval.id_hashes import IdHashes

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
    hashes = IdHashes()
    for batch in stream.batches():
        hashes.add(batch.table["id"].to_pylist())
    candidates = np.sort(hashes.candidates())
    if not len(candidates):
        return candidates
    first: dict[str, NDArray[np.float32]] = {}
    repeated: list[int] = []
    start = 0
    for batch in stream.batches():
        first_candidate, end = np.searchsorted(candidates, [start, start + len(batch)])
        for row in (candidates[first_candidate:end] - start).tolist():
            identifier = batch.table["id"][row].as_py()
            if identifier not in first:
                first[identifier] = batch.embedding[row].copy()
            elif np.array_equal(first[identifier], batch.embedding[row]):
                repeated.append(start + row)
            else:
                raise DataError(
                    f"{stream.folder}: the id {identifier!r:.200} occurs twice with different embeddings; give every "
                    "image a unique id, or remove one of the two rows from the source, and embed again."
                )
        start += len(batch)
    return np.array(repeated, np.int64)


def without_rows(batch: EmbeddedBatch, rows: NDArray[np.int64]) -> EmbeddedBatch:
    """Return a batch without some of its rows."""
    if not len(rows):
        return batch
    kept = np.setdiff1d(np.arange(len(batch)), rows)
    return type(batch)(batch.table.take(kept), batch.embedding[kept])
