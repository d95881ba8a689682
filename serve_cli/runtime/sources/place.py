"""Files on this machine, in object stores and on web servers, by one interface: pathlib's.

universal-pathlib has it for whatever fsspec reaches: ``s3://``, ``gs://``, ``https://`` and more, with the credentials
that those libraries find by themselves. Rows keep a URL as text: making such an object takes as long as 30 rows.
"""

from __future__ import annotations

import io
import os
import stat
from contextlib import contextmanager
from functools import lru_cache, partial
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any
from urllib.parse import urljoin, urlsplit

from gluon_lifted.errors import DataError, ImageError, LiftedError
from serve_cli.runtime.rows import MAX_IMAGE_BYTES, ImageRow
from serve_cli.runtime.sources.web import download, is_web, open_web

if TYPE_CHECKING:
    from collections.abc import Iterator


def to_place(name: str | os.PathLike[str]) -> Any:
    """A `Path`, absolute, or universal-pathlib's for a URL. Raises `DataError` if what a URL needs is not installed."""
    text = os.fspath(name)
    if "://" not in text:
        return Path(os.path.abspath(text))
    _require_protocol(text.split("://", 1)[0])
    from upath import UPath

    return UPath(text)


@lru_cache
def _require_protocol(protocol: str) -> None:
    try:
        import upath  # noqa: F401  # whether it is there
        from fsspec import get_filesystem_class

        for one in protocol.split("::"):
            get_filesystem_class(one)  # imports what this kind of URL needs
    except (ImportError, ValueError) as error:
        raise DataError(f"{protocol}://: cannot be reached ({error}); pip install 'gluon-lifted[remote]'.") from None


def is_remote(place: Any) -> bool:
    return not isinstance(place, Path)


def root_of(place: Any) -> Path | str:
    """What a `Source` calls the place that it comes from."""
    return str(place) if is_remote(place) else place


def name_of(place: Any) -> str:
    """The last part of a path, of a URL without its query."""
    path = urlsplit(place.path).path if is_web(place) else place.name
    return PurePosixPath(path).name


def kind_of(place: Any) -> str:
    """The suffix of a file, in small letters."""
    return PurePosixPath(name_of(place)).suffix.lower()


def beside(place: Any, name: str) -> Path | str:
    """What a list or manifest at ``place`` calls ``name``: a URL, an absolute path, or relative to its folder.

    On a web server it is relative as a link in a page is. Windows' separators are read as such, unless there is a file
    that has them in its name.
    """
    if "://" in name:
        return name
    if is_web(place):
        link = name.replace("#", "%23")
        return str(urljoin(place.path, link if link.startswith("/") else "./" + link))
    found = below(place.parent, name)
    if "\\" in name and isinstance(found, Path) and not os.path.lexists(found):
        return Path(place.parent, name.replace("\\", "/"))
    return found


def below(folder: Any, name: str) -> Path | str:
    """A path relative to a folder."""
    if not is_remote(folder):
        return Path(folder, name)
    text = str(folder)
    return (text if text.endswith("/") else text + "/") + name


@contextmanager
def reading(place: Any) -> Iterator[None]:
    """Tell what a file's or store's own errors mean. Raises `DataError`."""
    try:
        yield
    except LiftedError:
        raise
    except Exception as error:  # stores have errors of their own, which are not OSErrors
        if not is_remote(place) and not isinstance(error, OSError):
            raise
        raise DataError(f"{place}: cannot be read ({_reason(error)}).") from error


def open_file(place: Any, seekable: bool = False) -> io.BufferedReader:
    """Open a file to be read from its beginning on or, if ``seekable``, anywhere."""
    if is_web(place):
        return open_web(place, seekable)
    file: Any = place.open("rb")
    return io.BufferedReader(file) if is_remote(place) else file  # a store's readline knows no limit


def image_at(name: str, place: Path | str, label: str | None = None, extra: dict[str, Any] | None = None) -> ImageRow:
    """A row for the image in a file, at a path or a URL. Raises `DataError` if what the URL needs is not installed."""
    if isinstance(place, Path):
        return ImageRow(name, place, label, extra=extra or {})
    _require_protocol(place.split("://", 1)[0])
    return ImageRow(name, place, label, content=partial(read_image_bytes, place), extra=extra or {})


def read_image_bytes(place: Any, offset: int = 0, size: int | None = None, *, limit: int = MAX_IMAGE_BYTES) -> bytes:
    """A file, or ``size`` bytes of it from ``offset`` on.

    Parameters
    ----------
    place : Path, UPath or str
        A path or a URL.
    offset, size : int
        The whole file if ``size`` is None.
    limit : int
        Most bytes that are taken.

    Raises
    ------
    ImageError
        If it is missing, no file, larger than the limit, cut off or cannot be read.
    """
    if isinstance(place, str):
        place = to_place(place)
    read = _read_local if not is_remote(place) else _read_web if is_web(place) else _read_store
    try:
        if size is not None:
            _require_within(size, limit)
        return read(place, offset, size, limit)
    except Exception as error:  # stores have errors of their own, which are not OSErrors
        raise ImageError(f"{place}: cannot be read ({_reason(error)}).") from error


def _read_local(path: Path, offset: int, size: int | None, limit: int) -> bytes:
    file = os.open(path, os.O_RDONLY | os.O_NONBLOCK)  # a pipe would be waited for
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


def _read_web(place: Any, offset: int, size: int | None, limit: int) -> bytes:
    content = io.BytesIO()
    if size != 0:
        download(place, content, limit, None if size is None else range(offset, offset + size))
    return content.getvalue()


def _read_store(place: Any, offset: int, size: int | None, limit: int) -> bytes:
    """The libraries of S3 and Google's storage try again by themselves if the network stumbles."""
    if size is None:
        found = place.fs.info(place.path)
        if found["type"] == "directory":
            raise OSError("it is a folder")
        size = found["size"]
        _require_within(size, limit)
    return _whole(place.fs.cat_file(place.path, start=offset, end=offset + size), size) if size else b""


def _whole(content: bytes, size: int) -> bytes:
    if len(content) != size:
        raise OSError(f"cut off after {len(content):,} of {size:,} bytes")
    return content


def _require_within(size: int, limit: int) -> None:
    if size > limit:
        raise OSError(f"{size:,} bytes are more than the limit of {limit:,}")


def _reason(error: BaseException) -> str:
    """An error in few words; those of timeouts lie in their cause."""
    said = getattr(error, "strerror", None)
    if said is None and isinstance(error, FileNotFoundError):  # a store says no more than the name
        return "no such file"
    said = said or str(error) or str(error.__cause__ or "") or type(error).__name__
    return f"{said:.200}"
