"""Write rows that are added to an index, stored as in its first segment, with the same columns."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow as pa

from gluon_lifted.errors import DataError
from gluon_lifted.progress import open_progress
from serve_cli.embeddings.stream import EmbeddedBatch
from serve_cli.retrieval.id_hashes import IdHashes
from serve_cli.retrieval.index.build import BATCH_ROWS
from serve_cli.retrieval.index.layout import SegmentRecord
from serve_cli.retrieval.index.segment import Segment
from serve_cli.retrieval.index.segment_writer import SegmentWriter

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

    from serve_cli.embeddings.stream import EmbeddingStream
    from serve_cli.retrieval.index.catalog import CatalogIndex


def write_added(stream: EmbeddingStream, catalog: CatalogIndex, folder: Path) -> tuple[Segment, NDArray[np.int64]]:
    """Write the rows of a stream into an empty folder within the index.

    Returns
    -------
    segment : Segment
        Without a FAISS file.
    candidates : ndarray, int64, (n,)
        Its rows that may repeat the id of another.
    """
    hashes = IdHashes()

    def batches() -> Iterator[EmbeddedBatch]:
        for batch in stream.batches(BATCH_ROWS):
            hashes.add(batch.table["id"].to_pylist())
            yield batch

    segment = _write(batches(), stream.rows, catalog, folder, str(stream.folder.resolve()))
    return segment, hashes.candidates()


def write_merged(rows: NDArray[np.int64], catalog: CatalogIndex, folder: Path) -> Segment:
    """Copy rows of an index into an empty folder within it, as one segment without a FAISS file."""
    parts = (rows[start : start + BATCH_ROWS] for start in range(0, len(rows), BATCH_ROWS))
    batches = (EmbeddedBatch(catalog.table(part), catalog.vectors(part)) for part in parts)
    return _write(batches, len(rows), catalog, folder, catalog.manifest.segments[-1].embeddings)


def encode_added(segment: Segment, catalog: CatalogIndex) -> int | None:
    """Write the FAISS file of a new segment with the quantizer of the first one.

    Nothing is trained, so the same lists hold the neighbors of a query in all segments, and recall does not change.

    Returns
    -------
    int or None
        Size of the file; None for exact indexes, which have none.
    """
    if catalog.exact:
        return None
    from serve_cli.retrieval.index.training import encode, trained_index  # FAISS is an extra

    return encode(trained_index(catalog.segments[0], catalog.distance), segment)


def _write(
    batches: Iterator[EmbeddedBatch], rows: int, catalog: CatalogIndex, folder: Path, embeddings: str
) -> Segment:
    dtype = catalog.segments[0].stored.dtype.name
    with (
        open_progress("write", rows, unit="rows") as progress,
        SegmentWriter(folder, catalog.card, catalog.schema, dtype) as writer,
    ):
        for batch in batches:
            table = _cast(batch.table.select(catalog.schema.names), catalog.schema)  # the order may differ
            writer.write(EmbeddedBatch(table, batch.embedding))
            progress.update(writer.rows)
    record = SegmentRecord(folder.name, writer.rows, embeddings, added=True)
    return Segment(catalog.path, record, 0, catalog.dim)


def _cast(table: pa.Table, schema: pa.Schema) -> pa.Table:
    """Convert whole numbers to the float64 of an index. Raises `DataError` if that would change one."""
    try:
        return table.cast(schema)
    except pa.ArrowInvalid as error:
        problem = f"a whole number does not fit a column of the index ({error!s:.200}); build a new index."
        raise DataError(problem) from None
