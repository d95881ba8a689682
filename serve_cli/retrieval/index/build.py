"""Build an index of an embedding folder."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from gluon_lifted.errors import DataError
from serve_cli.embeddings.stream import EmbeddingStream
from serve_cli.progress import open_progress
from serve_cli.retrieval.index.deletions import write_deletions
from serve_cli.retrieval.index.layout import IndexManifest, SegmentRecord, deletions_name, segment_name
from serve_cli.retrieval.index.repeated_ids import IdHashes, repeated_rows
from serve_cli.retrieval.index.segment import Segment
from serve_cli.retrieval.index.segment_writer import SegmentWriter
from serve_cli.retrieval.index.versions import new_index_folder, new_segment, next_number, switch

if TYPE_CHECKING:
    import os

    import numpy as np
    from numpy.typing import NDArray


@dataclass(frozen=True)
class BuiltIndex:
    """What `build_index` made.

    Parameters
    ----------
    out : Path
        The index.
    rows : int
        Rows that can be found.
    failed : int
        Rows of the embedding folder without an embedding.
    repeated : int
        Rows left out because an earlier row has the same id and embedding.
    manifest : IndexManifest
        Content of ``index.json``.
    """

    out: Path
    rows: int
    failed: int
    repeated: int
    manifest: IndexManifest


def build_index(source: str | os.PathLike[str], out: str | os.PathLike[str], *, overwrite: bool = False) -> BuiltIndex:
    """Build an index of an embedding folder.

    Parameters
    ----------
    source : path
        A finished embedding folder.
    out : path
        Folder of the index.
    overwrite : bool
        Replace an index at ``out`` once the new one is complete; readers keep what they have open.

    Raises
    ------
    RunError
        If ``source`` is missing or damaged, or ``out`` cannot be written.
    DataError
        If an id occurs twice with different embeddings, or there is no row.
    """
    stream, folder = EmbeddingStream(source), Path(out)
    if not stream.rows:
        raise DataError(f"{stream.folder}: has no row with an embedding; embed images first.")
    with new_index_folder(folder, overwrite=overwrite):
        number = next_number(folder)
        with new_segment(folder, number) as temporary:
            hashes = write_rows(stream, temporary)
        record = SegmentRecord(segment_name(number), stream.rows, str(stream.folder.resolve()))
        repeated = repeated_rows(Segment(folder, record, 0, stream.card.dim), hashes.candidates())
        deletions = _write_repeated(folder, number, repeated)
        manifest = IndexManifest(
            card=stream.card,
            model=stream.model,
            model_sha256=stream.model_sha256,
            segments=(record,),
            deletions=deletions,
            deleted=len(repeated),
        )
        switch(folder, manifest)
    return BuiltIndex(folder, stream.rows - len(repeated), stream.failed, len(repeated), manifest)


def write_rows(stream: EmbeddingStream, folder: Path) -> IdHashes:
    """Write the vectors and rows of a stream into a new segment's folder."""
    hashes = IdHashes()
    with (
        open_progress("index", stream.rows, unit="rows") as progress,
        SegmentWriter(folder, stream.card, stream.schema) as writer,
    ):
        for batch in stream.batches():
            writer.write(batch)
            hashes.add(batch.table["id"].to_pylist())
            progress.update(writer.rows)
    return hashes


def _write_repeated(folder: Path, number: int, repeated: NDArray[np.int64]) -> str | None:
    if not len(repeated):
        return None
    name = deletions_name(number)
    write_deletions(folder / name, repeated)
    return name
