"""Say when building an index again pays: searches got slower by updates."""

from __future__ import annotations

from typing import TYPE_CHECKING

from serve_cli.retrieval.index.plan import EXACT_ROWS

if TYPE_CHECKING:
    from serve_cli.retrieval.index.layout import IndexManifest

DELETED_SHARE = 0.2  # deleted rows are scanned and skipped: searches take 1 / (1 - share) of the time, 1.25 times
ADDED_SHARE = 0.3  # the lists do not become more, so they grow; measured: see benchmarks/search_updates.py


def rebuild_advice(manifest: IndexManifest) -> str | None:
    """Return a sentence if building the index again would make searches about a quarter faster."""
    total = max(manifest.total, 1)
    deleted, added = manifest.deleted / total, manifest.added / total
    reasons = []
    if deleted > DELETED_SHARE:
        reasons.append(f"{deleted:.0%} of its rows are deleted and still take time")
    if not manifest.exact and added > ADDED_SHARE:
        reasons.append(f"{added:.0%} of its rows were added after its lists were trained")
    if manifest.exact and manifest.total - manifest.added <= EXACT_ROWS < manifest.total - manifest.deleted:
        reasons.append(f"it has grown to {manifest.total - manifest.deleted:,} rows, which every search compares")
    if not reasons:
        return None
    return f"{' and '.join(reasons)}; build it again for faster searches: lifted index EMBEDDINGS --overwrite"
