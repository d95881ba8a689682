"""Locations of files on this host, in object stores and on web servers, with one interface: pathlib's.

universal-pathlib has it for all that fsspec reaches: ``s3://``, ``gs://``, ``https://`` and more, with the credentials
that those libraries find by themselves. Rows keep a URL as text: making such an object takes as long as 30 rows.
"""

from __future__ import annotations

import io
import os
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any
from urllib.parse import urljoin, urlsplit

from gluon_lifted.errors import (
    DataError,
    LiftedError,
)
from gluon_lifted.redaction import (
    reason_without_credentials,
    reference_without_credentials,
    url_without_credentials,
)
from serve_cli.sources.network.url import CONTROL, UrlError, is_url, protocol_of, usable_url
from serve_cli.sources.network.web import is_web, open_web

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import TypeAlias

    Location: TypeAlias = Any  # a `Path`, or universal-pathlib's `UPath`, which need not be installed

MAX_SHOWN, MAX_REASON = 2000, 300  # characters of a location and of a library's words in an error


def to_location(name: str | os.PathLike[str]) -> Location:
    """A `Path`, absolute, or universal-pathlib's for a URL.

    Raises
    ------
    DataError
        If it is neither, or what the URL needs is not installed.
    """
    text = os.fspath(name)
    try:
        if not is_url(text):
            return Path(os.path.abspath(_without_nul(text)))
        url = usable_url(text)
        _require_protocol(protocol_of(url))
        from upath import UPath

        return UPath(url)
    except ValueError as error:  # universal-pathlib's and those of what it reads URLs by, too
        raise DataError(f"{shown(text)}: cannot be reached ({reason(error, text)}).") from None


def _without_nul(path: str) -> str:
    if "\0" in path:
        raise UrlError("no path holds a zero byte")
    return path


def _require_protocol(protocol: str) -> None:
    """Raise `UrlError` if a kind of URL is unknown or needs a package that is not installed."""
    if missing := _missing_for(protocol):
        raise UrlError(missing)


@lru_cache(maxsize=1000)
def _missing_for(protocol: str) -> str:
    """What is missing to read URLs of a kind; empty if nothing is. Asked for once: rows by the thousand need it."""
    try:
        from fsspec import get_filesystem_class
    except ImportError:
        return "URLs need further packages; pip install 'gluon-lifted[remote]'"
    try:
        import upath  # noqa: F401  # whether it is there

        for name in protocol.split("::"):
            get_filesystem_class(name)  # imports what this kind of URL needs
    except ImportError as error:
        return f"{protocol}:// needs a further package: {error}; pip install 'gluon-lifted[remote]' has those of most"
    except ValueError:
        return (
            f"{protocol[:40]!r} is not a known scheme; expected s3, gs, https, http or another of fsspec's, which "
            "pip install 'gluon-lifted[remote]' has"
        )
    return ""


def shown(location: Location) -> str:
    """A path or URL as errors name it: without credentials, and without what a terminal would obey."""
    text = url_without_credentials(str(location))[:MAX_SHOWN]
    return CONTROL.sub(lambda match: f"\\x{ord(match[0]):02x}", text)


def is_remote(location: Location) -> bool:
    return not isinstance(location, Path)


def root_of(location: Location) -> Path | str:
    """What a `Source` calls the location that it comes from."""
    return str(location) if is_remote(location) else location


def name_of(location: Location) -> str:
    """The last part of a path, of a URL without its query."""
    path = urlsplit(location.path).path if is_web(location) else location.name
    return PurePosixPath(path).name


def location_suffix(location: Location) -> str:
    """The suffix of a file, in small letters."""
    return PurePosixPath(name_of(location)).suffix.lower()


def beside(location: Location, name: str) -> Path | str:
    """What a list or manifest at ``location`` calls ``name``: a URL, an absolute path, or relative to its folder.

    On a web server it is relative as a link in a page is. Windows' separators are read as such, unless there is a file
    that has them in its name. Nothing is raised: what is wrong with a name is found when its image is read, and fails
    alone.
    """
    if is_url(name):
        return name
    if not is_web(location):
        return _beside_file(location, name)
    link = name.replace("#", "%23")
    if link.startswith("//"):
        return f"{location.protocol}:{link}"
    if CONTROL.search(link):  # which urljoin would leave out
        return f"{location.path.rpartition('/')[0]}/{link}"
    return str(urljoin(location.path, link if link.startswith("/") else "./" + link))


def _beside_file(location: Location, name: str) -> Path | str:
    path = below(location.parent, name)
    if "\\" in name and isinstance(path, Path) and not os.path.lexists(path):
        return Path(location.parent, name.replace("\\", "/"))
    return path


def id_beside(location: Location, name: str) -> str:
    """The id of what a list or manifest at ``location`` calls ``name``: the same, without credentials."""
    return reference_without_credentials(name) if is_web(location) else url_without_credentials(name)


def below(folder: Location, name: str) -> Path | str:
    """A path relative to a folder."""
    if not is_remote(folder):
        return Path(folder, name)
    text = str(folder)
    return (text if text.endswith("/") else text + "/") + name


def file_stamp(location: Location) -> tuple[int, ...]:
    """Size in bytes and modification time in nanoseconds of a local file; nothing of a remote or missing one."""
    if is_remote(location):
        return ()
    try:
        status = os.stat(location)
    except OSError:
        return ()
    return status.st_size, status.st_mtime_ns


@contextmanager
def reading(location: Location) -> Iterator[None]:
    """Translate the errors of files and stores to `DataError`."""
    try:
        yield
    except LiftedError:
        raise
    except Exception as error:  # stores have errors of their own, which are not OSErrors
        if not is_remote(location) and not isinstance(error, OSError):
            raise
        raise DataError(f"{shown(location)}: cannot be read ({reason(error, location)}).") from None


def open_file(location: Location, seekable: bool = False) -> io.BufferedReader:
    """Open a file to be read from its beginning on or, if ``seekable``, anywhere."""
    if is_web(location):
        return open_web(location, seekable)
    file: Any = location.open("rb")
    return io.BufferedReader(file) if is_remote(location) else file  # a store's readline knows no limit


def reason(error: BaseException, location: Location) -> str:
    """An error in few words; those of timeouts lie in their cause."""
    said = getattr(error, "strerror", None)
    if said is None and isinstance(error, FileNotFoundError):  # a store says no more than the name
        return "no such file"
    said = said or str(error) or str(error.__cause__ or "") or type(error).__name__
    return reason_without_credentials(said, str(location))[:MAX_REASON]
