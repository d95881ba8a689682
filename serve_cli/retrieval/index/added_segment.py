"""Write rows that are added to an index: as its first segment stores them, with the same columns."""

from __future__ import annotations

from typing import TYPE_CHECKING

from serve_cli.embeddings.stream import EmbeddedBatch
from serve_cli.progress import open_progress
from serve_cli.retrieval.index.repeated_ids import IdHashes
from serve_cli.retrieval.index.segment_writer import SegmentWriter

if TYPE_CHECKING:
    from pathlib import Path

    from serve_cli.embeddings.stream import EmbeddingStream
    from serve_cli.retrieval.index.catalog import CatalogIndex


def write_added(stream: EmbeddingStream, catalog: CatalogIndex, folder: Path) -> IdHashes:
    """Write the rows of a stream into an empty folder, and return the hashes of their ids."""
    hashes = IdHashes()
    dtype = catalog.segments[0].stored.dtype.name
    with (
        open_progress("index", stream.rows, unit="rows") as progress,
        SegmentWriter(folder, catalog.card, catalog.schema, dtype) as writer,
    ):
        for batch in stream.batches():
            table = batch.table.select(catalog.schema.names)  # they may stand in another order
            writer.write(EmbeddedBatch(table, batch.embedding))
            hashes.add(table["id"].to_pylist())
            progress.update(writer.rows)
    return hashes
