"""Files on this machine, and in object stores and on web servers, by one interface: pathlib's.

universal-pathlib has it for whatever fsspec reaches: ``s3://``, ``gs://``, ``https://`` and more, with the credentials
that those libraries find by themselves.
"""

from __future__ import annotations

import os
from functools import partial
from pathlib import Path
from typing import Any

from gluon_lifted.errors import DataError, ImageError
from serve_cli.runtime.rows import ImageRow

MAX_IMAGE_BYTES = 1 << 29


def to_place(name: str | os.PathLike[str]) -> Any:
    """A `Path`, absolute, or universal-pathlib's for a URL. Raises `DataError` if what a URL needs is not installed."""
    text = os.fspath(name)
    if "://" not in text:
        return Path(os.path.abspath(text))
    try:
        from fsspec import get_filesystem_class
        from upath import UPath

        place = UPath(text)
        get_filesystem_class(place.protocol)  # imports what this kind of URL needs
    except (ImportError, ValueError) as error:
        raise DataError(f"{text}: cannot be reached ({error}); pip install 'gluon-lifted[remote]'.") from None
    return place


def is_remote(place: Any) -> bool:
    return not isinstance(place, Path)


def beside(place: Any, name: str) -> Any:
    """What a list or manifest at ``place`` calls ``name``: a URL, an absolute path, or relative to its folder."""
    return to_place(name) if "://" in name else place.parent / name


def image_at(name: str, place: Any, label: str | None = None, extra: dict[str, Any] | None = None) -> ImageRow:
    """A row for the image in a file."""
    if not is_remote(place):
        return ImageRow(name, place, label, extra=extra or {})
    return ImageRow(name, str(place), label, content=partial(read_image_bytes, place), extra=extra or {})


def read_image_bytes(place: Any, offset: int = 0, size: int | None = None) -> bytes:
    """A file, or ``size`` bytes of it. Raises `ImageError` if it is too large, cut off or cannot be read."""
    try:
        if size is None:
            size = place.stat().st_size
        if size > MAX_IMAGE_BYTES:
            raise ImageError(f"{place}: {size:,} bytes are more than the limit of {MAX_IMAGE_BYTES:,}.")
        if is_remote(place):
            content = bytes(place.fs.cat_file(place.path, start=offset, end=offset + size)) if size else b""
        else:
            with place.open("rb") as file:
                file.seek(offset)
                content = file.read(size)
    except ImageError:
        raise
    except Exception as error:  # stores have errors of their own, which are not OSErrors
        raise ImageError(f"{place}: cannot be read ({error!s:.200}).") from error
    if len(content) < size:
        raise ImageError(f"{place}: cut off after {len(content)} of {size} bytes.")
    return content
