"""Say when rebuilding an index pays off, because updates slow searches down."""

from __future__ import annotations

from shlex import quote
from typing import TYPE_CHECKING

from serve_cli.retrieval.index.plan import EXACT_ROWS

if TYPE_CHECKING:
    from pathlib import Path

    from serve_cli.retrieval.index.layout import IndexManifest

# Measured with 200,000 rows (benchmarks/search_updates.py): a query takes 1.3 to 1.5 times as long once rows are
# deleted, and 1.6 to 1.8 times with an added segment, at shares from 1 % to 50 %. Time alone would advise a rebuild
# after every update. These shares say when much of the disk is wasted, or when the lists may no longer suit the rows.
DELETED_SHARE = 0.2
ADDED_SHARE = 0.3


def rebuild_advice(folder: Path, manifest: IndexManifest) -> str | None:
    """Return a sentence if updates are no longer few, so that rebuilding the index in ``folder`` pays off."""
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
    command = f"lifted index EMBEDDINGS --out {quote(str(folder))} --overwrite"
    return f"{' and '.join(reasons)}; build it again for faster searches: `{command}`"
