"""The user's cache folder for what can be recomputed from a model, keyed by the model's hash.

``$XDG_CACHE_HOME/gluon-lifted``, or ``~/.cache/gluon-lifted`` (XDG Base Directory Specification). Nothing is written
next to a model.
"""

from __future__ import annotations

import os
import shutil
from contextlib import suppress
from pathlib import Path

MAX_BYTES = 2 << 30  # per kind of entry; a network takes up to half a GiB


def cache_folder(kind: str) -> Path | None:
    """Create the folder for a kind of entry, private to this user; return None if it cannot be written to."""
    configured = os.environ.get("XDG_CACHE_HOME", "")
    try:
        base = Path(configured) if os.path.isabs(configured) else Path.home() / ".cache"
        folder = base / "gluon-lifted" / kind
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        # Its contents are executed, so no other user may have created them.
        trusted = folder.stat().st_uid == os.getuid()
    except (OSError, RuntimeError):  # no home folder
        return None
    return folder if trusted and os.access(folder, os.W_OK | os.X_OK) else None


def mark_used(entry: Path) -> None:
    """Mark an entry as the most recently used."""
    with suppress(OSError):
        os.utime(entry)


def evict(folder: Path, limit: int = MAX_BYTES) -> None:
    """Remove the least recently used entries until the others take at most ``limit`` bytes."""
    entries = []
    for path in folder.iterdir():
        with suppress(OSError):  # another process has removed it
            entries.append((path.stat().st_mtime_ns, path, _size(path)))
    kept = 0
    for _, path, size in sorted(entries, reverse=True):
        kept += size
        if kept > limit:
            with suppress(OSError):
                shutil.rmtree(path) if path.is_dir() else path.unlink()


def _size(path: Path) -> int:
    return sum(entry.stat().st_size for entry in (path, *path.rglob("*")))
