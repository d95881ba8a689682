"""Where queries come from: photographs, ids of the index, embedding folders."""

from __future__ import annotations

import logging
import os
from itertools import chain, groupby, islice
from pathlib import Path
from typing import TYPE_CHECKING

from gluon_lifted.errors import ConfigError
from gluon_lifted.hardware.memory import usable_memory
from gluon_lifted.images import IMAGE_SUFFIXES
from serve_cli.embed.embed_rows import embed_rows
from serve_cli.embed.memory_budget import decoding_within
from serve_cli.embeddings.part_columns import MANIFEST, PLAN
from serve_cli.embeddings.stream import EmbeddingStream
from serve_cli.retrieval.search.query import Query
from serve_cli.retrieval.search.query_model import require_same_model
from serve_cli.sources.file_kinds import FILE_KINDS
from serve_cli.sources.image_bytes import image_at, image_location
from serve_cli.sources.location import is_remote, location_suffix, to_location
from serve_cli.sources.pattern import to_pattern
from serve_cli.sources.resolve import open_source

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from serve_cli.model.embedder import Embedder
    from serve_cli.retrieval.index.catalog import CatalogIndex
    from serve_cli.sources.image_row import ImageRow

logger = logging.getLogger(__name__)

BATCH_ROWS = 1000  # of an embedding folder
FEW = 2  # photographs per lane that are embedded one by one, which is quicker than a batch filled up with black


def named_queries(names: Sequence[str], index: CatalogIndex, embedder: Callable[[], Embedder]) -> Iterator[Query]:
    """Make queries from the names on a command line: photographs, their folders, and embedding folders.

    Parameters
    ----------
    names : sequence of str
        Paths, URLs and patterns, as `lifted embed` takes them, and folders of `lifted embed`.
    index : CatalogIndex
        Embedding folders must have its model.
    embedder : callable
        Opens the model. Called once there is a photograph.

    Raises
    ------
    DataError
        If a folder contains no images. A single photograph that cannot be read is a query with an error.
    RunError
        If an embedding folder is damaged, or comes from another model.
    """
    for is_embedded, group in groupby(names, is_embedding_folder):
        if is_embedded:
            yield from chain.from_iterable(embedded_queries(index, EmbeddingStream(name)) for name in group)
        else:
            yield from photo_queries(embedder(), chain.from_iterable(map(rows_of, group)))


def is_embedding_folder(name: str) -> bool:
    """Return whether a name is a folder of `lifted embed`, finished or not."""
    return any(os.path.isfile(os.path.join(name, file)) for file in (MANIFEST, PLAN))


def rows_of(name: str) -> Iterable[ImageRow]:
    """List the images of a path, URL or pattern. A single image is not opened before it is embedded."""
    location = to_location(name)
    suffix = location_suffix(location)
    is_image = suffix in IMAGE_SUFFIXES or not suffix
    if is_remote(location):
        return [image_at(name, name)] if suffix in IMAGE_SUFFIXES else open_source(name).listing()
    path = Path(name)
    if path.is_dir() or (path.is_file() and not is_image):
        return open_source(name).listing()
    if not path.exists() and (suffix in FILE_KINDS or to_pattern(path) is not None):
        return open_source(name).listing()
    return [image_at(name, image_location(name))]


def photo_queries(embedder: Embedder, rows: Iterable[ImageRow]) -> Iterator[Query]:
    """Embed images as `lifted embed` does, in order. One that cannot be read is a query with an error."""
    rows = iter(rows)
    first = list(islice(rows, FEW * embedder.lanes + 1))
    batch_size = 1 if len(first) <= FEW * embedder.lanes else embedder.batch_size
    decoding = decoding_within(usable_memory() // 2, embedder.threads)
    for batch in embed_rows(embedder, chain(first, rows), batch_size, decoding):
        for row, embedding, error in zip(batch.rows, batch.embedding, batch.errors, strict=True):
            reason = None if error is None else error.removeprefix(f"{row.id}: ")
            yield Query(row.id, embedding, reason, row.label, image=row)


def id_queries(index: CatalogIndex, ids: Sequence[str], *, include_self: bool) -> list[Query]:
    """Make queries from rows of the index. Raises `DataError` for unknown ids."""
    if len(set(ids)) != len(ids):
        twice = next(name for number, name in enumerate(ids) if name in ids[:number])
        raise ConfigError(f"the id {twice!r:.200} is given twice; give each id once.")
    rows = index.rows_of_ids(ids)
    table = index.table(rows, ["id", "path", "label"])
    return [
        Query(
            columns["id"],
            embedding,
            label=columns["label"],
            path=columns["path"],
            own_rows=() if include_self else (int(row),),
        )
        for row, embedding, columns in zip(rows, index.vectors(rows), table.to_pylist(), strict=True)
    ]


def embedded_queries(index: CatalogIndex, stream: EmbeddingStream) -> Iterator[Query]:
    """Make a query from each row of an embedding folder that has a finite embedding. Warn about the others.

    Raises
    ------
    RunError
        If they come from another model.
    """
    require_same_model(index, str(stream.folder), stream.card, stream.model_sha256)
    for batch in stream.batches(BATCH_ROWS):
        names = batch.table.select(["id", "path", "label"])
        for columns, embedding in zip(names.to_pylist(), batch.embedding, strict=True):
            yield Query(columns["id"], embedding, label=columns["label"], path=columns["path"], source=stream.source)
    if stream.failed or stream.not_finite:
        logger.warning(
            "%s: left out %s rows without an embedding and %s whose embedding has NaN or infinity.",
            *(stream.folder, f"{stream.failed:,}", f"{stream.not_finite:,}"),
        )
