"""Decide which pictures a report may read.

An embedding folder names its images, and a stranger may have written it. URLs are fetched only if requested. Local
files are read only below a root: a folder of ``--root``, or by default the source that the manifest names. Root and
file are resolved first, so neither ``..`` nor a symbolic link leads out of the root. The manifest's source is not
trusted: it is ignored if it would expose much of the computer, such as ``/``, a home folder or its parents, and system
folders. Everything that is read is decoded, so only images get into the page.
"""

from __future__ import annotations

import os
import time
from enum import Enum
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING

from gluon_lifted.errors import ConfigError
from serve_cli.sources.image_bytes import read_image_bytes
from serve_cli.sources.pattern import to_pattern

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

FETCHED = frozenset({"http", "https", "s3", "gs"})
TAR = ".tar/"
SYSTEM = frozenset(map(Path, ("/bin", "/boot", "/dev", "/etc", "/lib", "/lib64", "/proc", "/sbin", "/sys", "/usr")))
HOLD_MUCH = frozenset(map(Path, ("/", "/home", "/root", "/run", "/var")))

MOST_FETCHED, MOST_BYTES, MOST_SECONDS = 10_000, 2 << 30, 600.0  # for all pictures together
MOST_IMAGE_BYTES = 64 << 20  # for each picture


class Reason(str, Enum):
    """Reason why a picture is not shown."""

    outside = "outside"
    remote = "remote"
    unsupported = "unsupported"
    limit = "limit"
    unreadable = "unreadable"


class WithheldError(Exception):
    """A picture may not be read."""

    def __init__(self, reason: Reason) -> None:
        super().__init__(reason.value)
        self.reason = reason


class Fetcher:
    """Fetches pictures within limits on their number, their total size and the total time.

    Parameters
    ----------
    pictures, num_bytes : int
        Largest number and total size.
    seconds : float
        Longest time after the first fetch.
    now : callable
        The clock, in seconds. Tests pass their own.
    """

    def __init__(
        self,
        pictures: int = MOST_FETCHED,
        num_bytes: int = MOST_BYTES,
        seconds: float = MOST_SECONDS,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._pictures, self._bytes, self._seconds, self._now = pictures, num_bytes, seconds, now
        self._end: float | None = None
        self._lock = Lock()

    def __call__(self, url: str) -> bytes:
        """Fetch a URL. Raise `ImageError`, or `WithheldError` once a limit is reached."""
        with self._lock:
            if self._end is None:
                self._end = self._now() + self._seconds
            if self._pictures <= 0 or self._bytes <= 0 or self._now() > self._end:
                raise WithheldError(Reason.limit)
            self._pictures -= 1
            limit = min(MOST_IMAGE_BYTES, self._bytes)
        content = read_image_bytes(url, limit=limit)
        with self._lock:
            self._bytes -= len(content)
        return content


class Access:
    """Reads the pictures that may be read.

    Parameters
    ----------
    source : object
        The manifest's source, of any type, as nothing has checked it.
    roots : iterable of Path
        Folders to read below, in place of the source.
    fetch : callable, optional
        Fetches a URL. Nothing is fetched without it.

    Attributes
    ----------
    roots : tuple of Path
        Resolved paths.

    Raises
    ------
    ConfigError
        If a root is not a folder.
    """

    def __init__(self, source: object, roots: Iterable[Path] = (), fetch: Callable[[str], bytes] | None = None) -> None:
        self.source, self._fetch = source, fetch
        self.roots = tuple(_folder(root) for root in roots)
        if not self.roots and (root := source_root(source)) is not None:
            self.roots = (root,)

    def local(self, path: str) -> Path:
        """Resolve a local path. Raise `WithheldError` if the file is not below a root."""
        try:
            file = Path(_without_scheme(path)).resolve()
        except (OSError, ValueError, RuntimeError):  # too long, a NUL inside, links in a circle
            raise WithheldError(Reason.unreadable) from None
        if not any(file.is_relative_to(root) for root in self.roots):
            raise WithheldError(Reason.outside)
        return file

    def read(self, path: str) -> bytes:
        """Read a file or a URL. Raise `WithheldError`, or `ImageError` if it cannot be read."""
        if not is_url(path):
            return read_image_bytes(self.local(path))
        if path.split("://", 1)[0] not in FETCHED or "::" in path or TAR in path:
            raise WithheldError(Reason.unsupported)
        if self._fetch is None:
            raise WithheldError(Reason.remote)
        return self._fetch(path)

    def why(self, reason: Reason) -> str:
        """Explain a reason in words, with the option that helps."""
        return {
            Reason.outside: self._why_outside(),
            Reason.remote: "have URLs; --fetch downloads them",
            Reason.unsupported: "have URLs of an unsupported kind, or are inside tar files behind URLs",
            Reason.limit: f"exceed the limits of a page ({MOST_FETCHED:,} pictures, "
            f"{MOST_BYTES >> 30} GiB, {MOST_SECONDS / 60:.0f} minutes); ask for fewer with --images",
            Reason.unreadable: "are missing or cannot be read",
        }[reason]

    def _why_outside(self) -> str:
        if self.roots:
            return f"are not below {', '.join(map(str, self.roots))}; --root DIR shows those below DIR"
        return (
            f"are local files, which the source {self.source!s:.200} does not allow; --root DIR shows those below DIR"
        )


def is_url(path: str) -> bool:
    """Return whether a path is a URL other than ``file:///...``."""
    return "://" in _without_scheme(path)


def _without_scheme(path: str) -> str:
    return path.removeprefix("file://") if path.startswith("file:///") else path


def _folder(root: Path) -> Path:
    if not root.is_dir():
        raise ConfigError(f"{root}: no such folder; give --root a folder of images.")
    return root.resolve()


def source_root(source: object) -> Path | None:
    """Return the folder or the tar file of a source, or None if there is none or it would expose too much.

    A list, a table or a single image gives its folder. A pattern gives the folder before its first wildcard.
    """
    if not isinstance(source, str) or is_url(source) or not os.path.isabs(_without_scheme(source)):
        return None
    path = Path(_without_scheme(source))
    try:
        if path.is_file() and path.suffix.lower() != ".tar":
            path = path.parent
        elif not path.exists() and (pattern := to_pattern(path)) is not None:
            path = pattern.folder
        root = path.resolve()
        home = Path.home().resolve()
    except (OSError, ValueError, RuntimeError):
        return None
    system = not SYSTEM.isdisjoint((root, *root.parents))
    return None if system or root in HOLD_MUCH or home.is_relative_to(root) else root
