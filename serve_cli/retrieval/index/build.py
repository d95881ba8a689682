"""Build an index of an embedding folder."""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from itertools import chain, islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gluon_lifted.errors import ConfigError, DataError
from gluon_lifted.progress import open_progress
from serve_cli.embeddings.stream import EmbeddingStream
from serve_cli.retrieval.id_hashes import IdHashes
from serve_cli.retrieval.index.catalog import CatalogIndex
from serve_cli.retrieval.index.deletions import write_deletions
from serve_cli.retrieval.index.layout import (
    EXACT,
    IndexManifest,
    SegmentRecord,
    deletions_name,
    segment_name,
)
from serve_cli.retrieval.index.plan import plan_index
from serve_cli.retrieval.index.repeated_ids import repeated_rows
from serve_cli.retrieval.index.segment import Segment
from serve_cli.retrieval.index.segment_writer import SegmentWriter
from serve_cli.retrieval.index.threads import threads
from serve_cli.retrieval.index.versions import new_index_folder, new_segment, next_number, switch

if TYPE_CHECKING:
    import os
    from collections.abc import Iterator

    from serve_cli.embeddings.stream import EmbeddedBatch
    from serve_cli.retrieval.index.plan import IndexPlan

BATCH_ROWS = 10_000
logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class IndexOptions:
    """How an index is built.

    Parameters
    ----------
    target_recall : float
        Share of the true ten nearest that a search should find. Exact indexes do not use it.
    factory : str, optional
        ``"exact"`` or FAISS's factory string. Default: chosen by the number of rows.
    max_memory : int, optional
        Bytes. Default: 80 % of what is available.
    threads : int, optional
        Threads of FAISS. Default: usable cores.
    overwrite : bool
        Replace an index once the new one is complete. Readers keep what they have open.

    Raises
    ------
    ConfigError
        If the target recall is not between 0 and 1.

    Examples
    --------
    >>> IndexOptions(target_recall=0.99, factory="IVF1024,SQ8").overwrite
    False
    """

    target_recall: float = 0.95
    factory: str | None = None
    max_memory: int | None = None
    threads: int | None = None
    overwrite: bool = False

    def __post_init__(self) -> None:
        if not 0 < self.target_recall < 1:
            raise ConfigError(f"the target recall is {self.target_recall:g}; expected a number between 0 and 1.")


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
    not_finite : int
        Rows left out because their embedding has NaN or infinity.
    repeated : int
        Rows left out because an earlier row has the same id and embedding.
    manifest : IndexManifest
        Content of ``index.json``.
    """

    out: Path
    rows: int
    failed: int
    not_finite: int
    repeated: int
    manifest: IndexManifest


def build_index(
    source: str | os.PathLike[str], out: str | os.PathLike[str], options: IndexOptions | None = None
) -> BuiltIndex:
    """Build an index of an embedding folder.

    Parameters
    ----------
    source : path
        A finished embedding folder.
    out : path
        Folder of the index.
    options : IndexOptions, optional
        Default: ``IndexOptions()``.

    Returns
    -------
    BuiltIndex
        Counts of the rows, and the manifest with the recall that was measured.

    Raises
    ------
    RunError
        If ``source`` is missing or damaged, or ``out`` cannot be written.
    DataError
        If an id occurs twice with different embeddings, or there is no row.
    ConfigError
        If the factory string is wrong, or there is not enough memory.
    MissingPackageError
        If the index is not exact and FAISS is not installed.

    Examples
    --------
    >>> built = build_index("embeddings", "catalog.index", IndexOptions(target_recall=0.99))  # doctest: +SKIP
    >>> built.rows, built.manifest.recall  # doctest: +SKIP
    (60000, 0.991)
    """
    options = options or IndexOptions()
    stream, plan = planned(source, options)
    folder = Path(out)
    lists = _new_faiss_index(plan, stream) if plan.kind != EXACT else None
    logger.info(plan.describe())
    with new_index_folder(folder, overwrite=options.overwrite), threads(options.threads):
        manifest = _write_segments(stream, folder, plan)
        if lists is not None:
            manifest = _encode_and_tune(folder, manifest, lists, options.target_recall)
        switch(folder, manifest)
    return BuiltIndex(
        out=folder,
        rows=manifest.total - manifest.deleted,
        failed=stream.failed,
        not_finite=stream.not_finite,
        repeated=manifest.deleted,
        manifest=manifest,
    )


def planned(source: str | os.PathLike[str], options: IndexOptions) -> tuple[EmbeddingStream, IndexPlan]:
    """Open an embedding folder and plan its index. Raises as `build_index` does."""
    stream = EmbeddingStream(source)
    if not stream.rows:
        raise DataError(
            f"{stream.folder}: has no row with an embedding, since every image failed; repair them, and embed again."
        )
    return stream, plan_index(stream.rows, stream.card.dim, options.factory, options.max_memory)


def write_rows(batches: Iterator[EmbeddedBatch], writer: SegmentWriter, hashes: IdHashes, rows: int) -> None:
    """Write batches into a segment, and collect the hashes of their ids."""
    with open_progress("write", rows, unit="rows") as progress:
        for batch in batches:
            writer.write(batch)
            hashes.add(batch.table["id"].to_pylist())
            progress.update(writer.rows)


def _new_faiss_index(plan: IndexPlan, stream: EmbeddingStream) -> Any:
    from serve_cli.retrieval.index.training import new_faiss_index  # FAISS is an extra

    return new_faiss_index(plan.kind, stream.card.dim, stream.card.distance)


def _write_segments(stream: EmbeddingStream, folder: Path, plan: IndexPlan) -> IndexManifest:
    """Write all rows, and the deletions of rows that repeat others."""
    number, hashes = next_number(folder), IdHashes()
    records: list[SegmentRecord] = []
    batches = stream.batches(BATCH_ROWS)
    batches_per_segment = max(1, plan.segment_rows // BATCH_ROWS + (plan.segment_rows == stream.rows))
    for first in batches:
        with (
            new_segment(folder, number + len(records)) as temporary,
            SegmentWriter(temporary, stream.card, stream.schema) as writer,
        ):
            following = islice(batches, batches_per_segment - 1)
            left = stream.rows - sum(record.rows for record in records)
            write_rows(chain([first], following), writer, hashes, left)
        name = segment_name(number + len(records))
        records.append(SegmentRecord(name, writer.rows, str(stream.folder.resolve())))
    if not records:
        raise DataError(f"{stream.folder}: every embedding has NaN or infinity; check the model.")
    manifest = IndexManifest(stream.card, stream.model, stream.model_sha256, segments=tuple(records))
    repeated = repeated_rows(CatalogIndex(folder, manifest), hashes.candidates())
    if len(repeated):
        name = deletions_name(number + len(records))
        write_deletions(folder / name, repeated)
        manifest = replace(manifest, deletions=name, deleted=len(repeated))
    return replace(manifest, kind=plan.kind)


def _encode_and_tune(folder: Path, manifest: IndexManifest, lists: Any, target: float) -> IndexManifest:
    from serve_cli.retrieval.index.training import encode, train
    from serve_cli.retrieval.index.tuning import tune

    segments, first = [], 0
    for record in manifest.segments:
        segments.append(Segment(folder, record, first, manifest.card.dim))
        first += record.rows
    train(lists, segments)
    encoded = tuple(replace(segment.record, faiss_bytes=encode(lists, segment)) for segment in segments)
    manifest = replace(manifest, segments=encoded, target_recall=target)
    tuned = tune(CatalogIndex(folder, manifest), target)
    return replace(manifest, search=tuned.search, recall=tuned.recall)
