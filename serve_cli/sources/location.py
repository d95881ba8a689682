"""Locations of files on this host, in object stores and on web servers, with the interface of pathlib.

universal-pathlib provides it for all that fsspec reaches: ``s3://``, ``gs://``, ``https://`` and more, with the
credentials that those libraries find by themselves. Rows keep URLs as text, because creating a ``UPath`` takes as long
as processing 30 rows.
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
from gluon_lifted.extras import install_command
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

MAX_SHOWN, MAX_REASON = 2000, 300  # characters of a location and of a library's message in an error


def to_location(name: str | os.PathLike[str]) -> Location:
    """Convert a name to an absolute `Path`, or a URL to a ``UPath``.

    Raises
    ------
    DataError
        If it is neither, or a package that the URL needs is not installed.
    """
    text = os.fspath(name)
    try:
        if not is_url(text):
            return Path(os.path.abspath(_without_nul(text)))
        url = usable_url(text)
        _require_protocol(protocol_of(url))
        from upath import UPath

        return UPath(url)
    except ValueError as error:  # from universal-pathlib and its URL parsers, too
        raise DataError(f"{shown(text)}: cannot be reached ({reason(error, text)}).") from None


def _without_nul(path: str) -> str:
    if "\0" in path:
        raise UrlError("a path cannot contain a zero byte")
    return path


def _require_protocol(protocol: str) -> None:
    """Raise `UrlError` if a kind of URL is unknown or needs a package that is not installed."""
    if missing := _missing_for(protocol):
        raise UrlError(missing)


@lru_cache(maxsize=1000)
def _missing_for(protocol: str) -> str:
    """Describe what is missing to read URLs of a protocol. Empty if nothing is. Cached, since every row checks it."""
    try:
        from fsspec import get_filesystem_class
    except ImportError:
        return f"URLs need further packages: `{install_command('remote')}`"
    try:
        import upath  # noqa: F401  # checks that it is installed

        for name in protocol.split("::"):
            get_filesystem_class(name)  # imports the packages that this protocol needs
    except ImportError as error:
        return (
            f"{protocol}:// needs a further package: {error}; `{install_command('remote')}` installs those of most "
            "protocols"
        )
    except ValueError:
        return (
            f"{protocol[:40]!r} is not a known scheme; expected s3, gs, https, http or another that fsspec supports "
            f"(`{install_command('remote')}`)"
        )
    return ""


def shown(location: Location) -> str:
    """Format a path or URL for errors, without credentials and with control characters escaped."""
    text = url_without_credentials(str(location))[:MAX_SHOWN]
    return CONTROL.sub(lambda match: f"\\x{ord(match[0]):02x}", text)


def is_remote(location: Location) -> bool:
    """Whether a location is a URL."""
    return not isinstance(location, Path)


def root_of(location: Location) -> Path | str:
    """Convert a location to the root of a `Source`: a `Path`, or a URL as text."""
    return str(location) if is_remote(location) else location


def name_of(location: Location) -> str:
    """Return the last part of a path, or of a URL without its query."""
    path = urlsplit(location.path).path if is_web(location) else location.name
    return PurePosixPath(path).name


def location_suffix(location: Location) -> str:
    """Return the suffix of a file in lower case."""
    return PurePosixPath(name_of(location)).suffix.lower()


def beside(location: Location, name: str) -> Path | str:
    """Resolve a name in a list or manifest at ``location``: a URL, an absolute path, or relative to its folder.

    On a web server, relative names are resolved like links in a page. Backslashes separate folders, as on Windows,
    unless a file has them in its name. Never raises: a bad name fails alone when its image is read.
    """
    if is_url(name):
        return name
    if not is_web(location):
        return _beside_file(location, name)
    link = name.replace("#", "%23")
    if link.startswith("//"):
        return f"{location.protocol}:{link}"
    if CONTROL.search(link):  # urljoin would drop control characters
        return f"{location.path.rpartition('/')[0]}/{link}"
    return str(urljoin(location.path, link if link.startswith("/") else "./" + link))


def _beside_file(location: Location, name: str) -> Path | str:
    path = below(location.parent, name)
    if "\\" in name and isinstance(path, Path) and not os.path.lexists(path):
        return Path(location.parent, name.replace("\\", "/"))
    return path


def id_beside(location: Location, name: str) -> str:
    """Return the id of a name in a list or manifest at ``location``: the name without credentials."""
    return reference_without_credentials(name) if is_web(location) else url_without_credentials(name)


def below(folder: Location, name: str) -> Path | str:
    """Append a relative path to a folder's path or URL."""
    if not is_remote(folder):
        return Path(folder, name)
    text = str(folder)
    return (text if text.endswith("/") else text + "/") + name


def file_stamp(location: Location) -> tuple[int, ...]:
    """Return size in bytes and modification time in nanoseconds of a local file; empty if it is remote or missing."""
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
    except Exception as error:  # stores raise their own errors, which are not OSErrors
        if not is_remote(location) and not isinstance(error, OSError):
            raise
        raise DataError(f"{shown(location)}: cannot be read ({reason(error, location)}).") from None


def open_file(location: Location, *, seekable: bool = False) -> io.BufferedReader:
    """Open a file for reading from start to end or, if ``seekable``, at any position."""
    if is_web(location):
        return open_web(location, seekable=seekable)
    file: Any = location.open("rb")
    return io.BufferedReader(file) if is_remote(location) else file  # a store's readline ignores its limit


def reason(error: BaseException, location: Location) -> str:
    """Summarize an error without credentials. A timeout has its message in its cause."""
    text = getattr(error, "strerror", None)
    if text is None and isinstance(error, FileNotFoundError):  # a store's message is only the name
        return "no such file"
    text = text or str(error) or str(error.__cause__ or "") or type(error).__name__
    return reason_without_credentials(text, str(location))[:MAX_REASON]
