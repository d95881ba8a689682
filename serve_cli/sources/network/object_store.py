"""Object stores: list the names below a folder, and call a store with a time limit."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from serve_cli.sources.network.retry import call
from serve_cli.sources.passed_over import is_hidden

if TYPE_CHECKING:
    from serve_cli.sources.location import Location


def names_in_store(folder: Location, depth: int | None = None) -> list[str]:
    """List files relative to a folder, sorted, at most ``depth`` levels deep. Hidden ones are skipped."""
    root = folder.path.rstrip("/") + "/"
    names = (path[len(root) :] for path in folder.fs.find(folder.path, maxdepth=depth) if path.startswith(root))
    return sorted(name for name in names if not any(map(is_hidden, name.split("/"))))


def ask_store(location: Location, method: str, **arguments: int) -> Any:
    """Call a method of a store. The time is limited if its library runs on fsspec's thread, as most do."""
    fs = location.fs
    if not fs.async_impl:
        return getattr(fs, method)(location.path, **arguments)
    host = f"{location.protocol}://{location.path.split('/', 1)[0]}"
    return call(fs.loop, host, lambda: getattr(fs, "_" + method)(location.path, **arguments))
