"""Add, delete and replace rows of an index without rebuilding it.

A writer locks the index, writes new files and then switches ``index.json`` once. Readers that have the index open keep
their version. An opener sees the version before the switch or the one after it.
"""

from __future__ import annotations

import logging
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from gluon_lifted.errors import DataError, RunError
from serve_cli.embeddings.stream import EmbeddingStream
from serve_cli.retrieval.index.added_segment import encode_added, write_added
from serve_cli.retrieval.index.catalog import CatalogIndex
from serve_cli.retrieval.index.compaction import compacted
from serve_cli.retrieval.index.compatibility import check_compatible
from serve_cli.retrieval.index.deletions import write_deletions
from serve_cli.retrieval.index.layout import deletions_name, read_index_manifest, segment_name
from serve_cli.retrieval.index.plan import encodable_rows
from serve_cli.retrieval.index.rebuild_advice import rebuild_advice
from serve_cli.retrieval.index.repeated_ids import repeated_rows
from serve_cli.retrieval.index.threads import threads
from serve_cli.retrieval.index.versions import index_lock, new_segment, next_number, remove_unnamed, switch

if TYPE_CHECKING:
    import os
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from serve_cli.retrieval.index.layout import IndexManifest, SegmentRecord
    from serve_cli.retrieval.index.segment import Segment

SHOWN_IDS = 3
logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class UpdatedIndex:
    """What an update did.

    Parameters
    ----------
    path : Path
        The index.
    rows : int
        Rows that can be found now.
    added : int
        Rows that were added, new versions of replaced ones included.
    deleted : int
        Rows that were deleted, old versions of replaced ones included.
    failed : int
        Rows of the embedding folder without an embedding.
    not_finite : int
        Rows left out because their embedding has NaN or infinity.
    repeated : int
        Rows left out because an earlier row of the embedding folder has the same id and embedding.
    missing : int
        Ids to delete that the index does not have.
    advice : str or None
        Why rebuilding the index would make searches faster.
    manifest : IndexManifest
        Content of ``index.json``.
    """

    path: Path
    rows: int
    added: int
    deleted: int
    failed: int
    not_finite: int
    repeated: int
    missing: int
    advice: str | None
    manifest: IndexManifest


@dataclass(frozen=True)
class UpdateOptions:
    """What adding or replacing rows may use.

    Parameters
    ----------
    max_memory : int, optional
        Bytes. Default: 80 % of what is available.
    threads : int, optional
        Threads of FAISS. Default: usable cores.

    Examples
    --------
    >>> UpdateOptions(max_memory=2 << 30).max_memory
    2147483648
    """

    max_memory: int | None = None
    threads: int | None = None


def add_rows(
    index: str | os.PathLike[str], embeddings: str | os.PathLike[str], options: UpdateOptions = UpdateOptions()
) -> UpdatedIndex:
    """Add the rows of an embedding folder to an index.

    Parameters
    ----------
    index : path
        Folder of the index.
    embeddings : path
        A finished embedding folder of the same model, with the same columns.
    options : UpdateOptions, optional
        Memory and threads.

    Returns
    -------
    UpdatedIndex
        Counts of the rows, and the new manifest.

    Raises
    ------
    RunError
        If a folder is missing or damaged, another process is changing the index, or it cannot be written to.
    DataError
        If the embeddings do not fit the index, have no row, repeat an id with another embedding, or have ids that the
        index has. The index stays unchanged.
    ConfigError
        If there is not enough memory.

    Examples
    --------
    >>> add_rows("catalog.index", "new_embeddings").added  # doctest: +SKIP
    600
    """
    return _write(index, embeddings, options, replace_existing=False)


def replace_rows(
    index: str | os.PathLike[str], embeddings: str | os.PathLike[str], options: UpdateOptions = UpdateOptions()
) -> UpdatedIndex:
    """Add the rows of an embedding folder to an index, in place of rows with the same ids.

    Both happen in one switch: no reader misses a row that is replaced, or sees it twice. Rows with other ids are added.

    Parameters
    ----------
    index : path
        Folder of the index.
    embeddings : path
        A finished embedding folder of the same model, with the same columns.
    options : UpdateOptions, optional
        Memory and threads.

    Returns
    -------
    UpdatedIndex
        ``added`` counts the new rows, ``deleted`` the old ones that they replace.

    Raises
    ------
    RunError
        If a folder is missing or damaged, another process is changing the index, or it cannot be written to.
    DataError
        If the embeddings do not fit the index, have no row, or repeat an id with another embedding. The index stays
        unchanged.
    ConfigError
        If there is not enough memory.

    Examples
    --------
    >>> updated = replace_rows("catalog.index", "new_embeddings")  # doctest: +SKIP
    >>> updated.added, updated.deleted  # doctest: +SKIP
    (600, 580)
    """
    return _write(index, embeddings, options, replace_existing=True)


def delete_rows(index: str | os.PathLike[str], ids: Sequence[str], *, missing_ok: bool = False) -> UpdatedIndex:
    """Delete rows of an index.

    Parameters
    ----------
    index : path
        Folder of the index.
    ids : sequence of str
        Their ids.
    missing_ok : bool
        Ignore ids that the index does not have, so that a deletion can be repeated.

    Returns
    -------
    UpdatedIndex
        ``deleted`` counts the rows, ``missing`` the ids that the index does not have.

    Raises
    ------
    RunError
        If the index is missing or damaged, another process is changing it, or it cannot be written to.
    DataError
        If the index does not have some of the ids. Nothing is deleted then.

    Examples
    --------
    >>> delete_rows("catalog.index", ["sold/1.jpg", "sold/2.jpg"]).rows  # doctest: +SKIP
    59998
    """
    with _writing(index) as catalog:
        unique = list(dict.fromkeys(ids))
        rows = catalog.find_ids(unique)
        missing = [name for name, row in zip(unique, rows, strict=True) if row < 0]
        if missing and not missing_ok:
            raise DataError(
                f"{catalog.path}: lacks {_some(missing)} of the {len(unique):,} ids to delete; nothing was deleted. "
                " Give ids of its `id` column, or ignore missing ones with --missing-ok."
            )
        rows = rows[rows >= 0]
        deleted, number = np.union1d(catalog.deleted, rows), next_number(catalog.path)
        manifest = _with_deletions(catalog, number, deleted, catalog.manifest.segments)
        if manifest != catalog.manifest:
            switch(catalog.path, manifest)
    return UpdatedIndex(
        path=catalog.path,
        rows=manifest.total - manifest.deleted,
        added=0,
        deleted=len(rows),
        failed=0,
        not_finite=0,
        repeated=0,
        missing=len(missing),
        advice=_advice(catalog.path, manifest),
        manifest=manifest,
    )


def _write(
    index: str | os.PathLike[str],
    embeddings: str | os.PathLike[str],
    options: UpdateOptions,
    *,
    replace_existing: bool,
) -> UpdatedIndex:
    stream = EmbeddingStream(embeddings)
    if not stream.rows:
        raise DataError(
            f"{stream.folder}: has no row with an embedding, since every image failed; repair them, and embed again."
        )
    with _writing(index) as catalog, threads(options.threads):
        check_compatible(stream, catalog)
        kind, total = catalog.manifest.kind, catalog.total
        most_rows = encodable_rows(total, stream.rows, catalog.dim, kind, options.max_memory)
        number = next_number(catalog.path)
        with new_segment(catalog.path, number) as temporary:
            added, candidates = write_added(stream, catalog, temporary)
            if not added.rows:
                raise DataError(f"{stream.folder}: every embedding has NaN or infinity; check the model.")
            repeated = repeated_rows(added, candidates)
            old = _rows_with_ids_of(added, catalog, stream, replace_existing=replace_existing)
            record = replace(added.record, name=segment_name(number), faiss_bytes=encode_added(added, catalog))
        deleted = np.union1d(np.union1d(catalog.deleted, old), repeated + catalog.total)
        manifest = _with_deletions(catalog, number, deleted, (*catalog.manifest.segments, record))
        manifest = compacted(catalog.path, manifest, most_rows)
        switch(catalog.path, manifest)
    return UpdatedIndex(
        path=catalog.path,
        rows=manifest.total - manifest.deleted,
        added=added.rows - len(repeated),
        deleted=len(old),
        failed=stream.failed,
        not_finite=stream.not_finite,
        repeated=len(repeated),
        missing=0,
        advice=_advice(catalog.path, manifest),
        manifest=manifest,
    )


@contextmanager
def _writing(path: str | os.PathLike[str]) -> Iterator[CatalogIndex]:
    """Open an index that no other process changes meanwhile."""
    folder = Path(path)
    read_index_manifest(folder)  # so that no lock is created in a folder that is not an index
    try:
        with index_lock(folder), CatalogIndex.open(folder) as catalog:
            remove_unnamed(folder, catalog.manifest)
            yield catalog
    except OSError as error:
        raise RunError(
            f"{folder}: cannot be written to ({error}); the index was not changed. Free some space, or get write "
            "permission."
        ) from None


def _rows_with_ids_of(
    added: Segment, catalog: CatalogIndex, stream: EmbeddingStream, *, replace_existing: bool
) -> NDArray[np.int64]:
    """Return the rows of an index with ids of a new segment, (n,). Raises `DataError` unless they may be replaced."""
    ids = pa.chunked_array([batch["id"] for _, batch in added.batches(["id"])], pa.string())
    rows = catalog.find_ids(ids)
    if (rows >= 0).any() and not replace_existing:
        known = ids.filter(pa.array(rows >= 0)).unique().to_pylist()
        raise DataError(
            f"{stream.folder}: {_some(known)} of its {len(ids):,} ids are already in {catalog.path}; nothing was "
            "added. Use --replace to replace their rows."
        )
    return np.asarray(np.unique(rows[rows >= 0]))


def _with_deletions(
    catalog: CatalogIndex, number: int, deleted: NDArray[np.int64], segments: tuple[SegmentRecord, ...]
) -> IndexManifest:
    """Write deletions unless they are the same. Return a manifest with them that has not been switched to."""
    manifest = replace(catalog.manifest, segments=segments)
    if len(deleted) == len(catalog.deleted):  # which it contains
        return manifest
    name = deletions_name(number)
    write_deletions(catalog.path / name, deleted)
    return replace(manifest, deletions=name, deleted=len(deleted))


def _advice(path: Path, manifest: IndexManifest) -> str | None:
    advice = rebuild_advice(path, manifest)
    if advice is not None:
        logger.warning("%s: %s", path, advice)
    return advice


def _some(ids: Sequence[str]) -> str:
    """Count ids and name some of them."""
    shown = ", ".join(f"{name!r:.100}" for name in ids[:SHOWN_IDS])
    return f"{len(ids):,} ({shown}{', ...' if len(ids) > SHOWN_IDS else ''})"
