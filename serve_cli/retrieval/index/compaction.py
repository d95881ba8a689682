"""Merge small segments that were added to an index, since every segment costs time in every search."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from serve_cli.retrieval.index.added_segment import encode_added, write_merged
from serve_cli.retrieval.index.catalog import CatalogIndex
from serve_cli.retrieval.index.deletions import write_deletions
from serve_cli.retrieval.index.layout import deletions_name, segment_name
from serve_cli.retrieval.index.versions import new_segment, next_number

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from serve_cli.retrieval.index.layout import IndexManifest, SegmentRecord

TIMES_LARGER = 4  # a larger one would be copied too often


def compacted(folder: Path, manifest: IndexManifest, most_rows: int) -> IndexManifest:
    """Merge the last added segments, without their deleted rows. Return a manifest that has not been switched to.

    A segment is merged with the ones after it unless it has more than four times their rows, or all together have
    more than ``most_rows``, which would not fit into memory. So there are about log5(n) added segments after n
    equal additions, two or three in practice.
    """
    kept = _kept(manifest.segments, most_rows)
    if kept >= len(manifest.segments) - 1:
        return manifest
    number, segments = next_number(folder), manifest.segments[:kept]
    first = sum(segment.rows for segment in segments)
    with CatalogIndex(folder, manifest) as catalog:
        rows = first + np.flatnonzero(catalog.live[first:])
        if len(rows):
            with new_segment(folder, number) as temporary:
                merged = write_merged(rows, catalog, temporary)
                record = replace(merged.record, name=segment_name(number), faiss_bytes=encode_added(merged, catalog))
            segments = (*segments, record)
        deleted = catalog.deleted[catalog.deleted < first]
    name = deletions_name(number) if len(deleted) else None
    if name is not None:
        write_deletions(folder / name, deleted)
    return replace(manifest, segments=segments, deletions=name, deleted=len(deleted))


def _kept(segments: Sequence[SegmentRecord], most_rows: int) -> int:
    """Return how many segments at the start are not merged."""
    kept = len(segments) - 1
    rows = segments[kept].rows
    while segments[kept - 1].added and segments[kept - 1].rows <= min(TIMES_LARGER * rows, most_rows - rows):
        kept -= 1
        rows += segments[kept].rows
    return kept
