"""Read an image's file, or a part of one, on this host, in an object store or on a web server."""

from __future__ import annotations

import io
import os
import stat
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gluon_lifted.errors import DataError, ImageError, UnreachableError
from serve_cli.sources.image_row import MAX_IMAGE_BYTES, ImageRow
from serve_cli.sources.location import is_remote, reason, shown, to_location
from serve_cli.sources.network.object_store import ask_store
from serve_cli.sources.network.retry import has_no_answer
from serve_cli.sources.network.url import is_url
from serve_cli.sources.network.web import download, is_web

if TYPE_CHECKING:
    from serve_cli.sources.location import Location


def image_at(
    name: str, location: Path | str, label: str | None = None, extra: dict[str, Any] | None = None
) -> ImageRow:
    """Make a row for an image file at a path or URL. A bad URL fails when the image is read."""
    if isinstance(location, Path):
        return ImageRow(name, location, label, extra=extra or {})
    return ImageRow(name, location, label, content=partial(read_image_bytes, location), extra=extra or {})


def image_location(name: str) -> Path | str:
    """Convert a name to a location for `image_at`: a `Path`, or a URL as text."""
    return name if is_url(name) else Path(name)


def unreadable(name: str, location: Location, reason: str) -> ImageRow:
    """Make a row that fails with this reason when its image is read."""

    def fail(*, limit: int = MAX_IMAGE_BYTES) -> bytes:
        raise ImageError(f"{shown(location)}: {reason}.")

    return ImageRow(name, shown(location), content=fail)


def read_image_bytes(
    location: Location, offset: int = 0, size: int | None = None, *, limit: int = MAX_IMAGE_BYTES
) -> bytes:
    """Read a file, or ``size`` bytes of it from ``offset`` on.

    Parameters
    ----------
    location : Path, UPath or str
        A path or a URL.
    offset, size : int
        In bytes; the whole file if ``size`` is None.
    limit : int
        Maximum number of bytes to read.

    Raises
    ------
    UnreachableError
        If its host does not answer, or not in time.
    ImageError
        If it is missing, not a file, larger than the limit, truncated or unreadable.
    """
    try:
        if isinstance(location, str):
            location = to_location(location)
        read = _read_local if not is_remote(location) else _read_web if is_web(location) else _read_store
        if size is not None:
            _require_within(size, limit)
        return read(location, offset, size, limit)
    except DataError as error:  # from to_location
        raise ImageError(str(error)) from None
    except Exception as error:  # stores raise their own errors, which are not OSErrors
        kind = UnreachableError if is_remote(location) and has_no_answer(error) else ImageError
        # "from None": a store's error may quote a URL with credentials
        raise kind(f"{shown(location)}: cannot be read ({reason(error, location)}).") from None


def _read_local(path: Path, offset: int, size: int | None, limit: int) -> bytes:
    file = os.open(path, os.O_RDONLY | os.O_NONBLOCK)  # opening a pipe would block
    try:
        status = os.fstat(file)
        if not stat.S_ISREG(status.st_mode):
            raise OSError("it is a folder" if stat.S_ISDIR(status.st_mode) else "it is a pipe or a device")
        if size is None:
            size = status.st_size
            _require_within(size, limit)
        return _whole(os.pread(file, size, offset), size)
    finally:
        os.close(file)


def _read_web(location: Location, offset: int, size: int | None, limit: int) -> bytes:
    content = io.BytesIO()
    if size != 0:
        download(location, content, limit, None if size is None else range(offset, offset + size))
    return content.getvalue()


def _read_store(location: Location, offset: int, size: int | None, limit: int) -> bytes:
    """Read from an object store. The libraries for S3 and Google Cloud Storage retry by themselves."""
    if size is None:
        info = ask_store(location, "info")
        if info["type"] == "directory":
            raise OSError("it is a folder")
        size = info["size"]
        _require_within(size, limit)
    return _whole(ask_store(location, "cat_file", start=offset, end=offset + size), size) if size else b""


def _whole(content: bytes, size: int) -> bytes:
    if len(content) != size:
        raise OSError(f"cut off after {len(content):,} of {size:,} bytes")
    return content


def _require_within(size: int, limit: int) -> None:
    if size > limit:
        raise OSError(f"{size:,} bytes are more than the limit of {limit:,}")
