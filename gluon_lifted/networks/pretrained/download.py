"""Download files: bounded in size and time, redirected to https only, checked against a hash before they are used."""

from __future__ import annotations

import hashlib
import http.client
import os
import time
import urllib.error
import urllib.request
from typing import IO, TYPE_CHECKING, Any
from urllib.parse import urlsplit

from gluon_lifted import __version__
from gluon_lifted.files import replaced_file
from gluon_lifted.redaction import reason_without_credentials, url_without_credentials

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

TIMEOUT = 20.0  # seconds without data from the server
MAX_FILE_BYTES = 2 << 30  # the largest file of the registry has 0.6 GB
CHUNK = 1 << 20
NOTE_EVERY = 10.0  # seconds between notes on progress
MB = 1e6
OFFLINE_VARIABLES = ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE")  # huggingface_hub reads these
FAILURES = (OSError, http.client.HTTPException, ValueError)  # of a download


class HttpsRedirects(urllib.request.HTTPRedirectHandler):
    """Follow redirects to https only."""

    max_redirections = 5

    def redirect_request(self, req: Any, fp: Any, code: int, msg: str, headers: Any, newurl: str) -> Any:
        """Return the request to send next. Raises `ValueError` if it is not for https."""
        parts = urlsplit(newurl)
        if parts.scheme != "https":
            fp.close()
            raise ValueError(f"it redirects to {parts.scheme}://{parts.netloc}; expected https")
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def check_online() -> None:
    """Raise `ValueError` if the environment forbids downloads, as for huggingface_hub."""
    for name in OFFLINE_VARIABLES:
        if os.environ.get(name, "").upper() in {"1", "ON", "YES", "TRUE"}:
            raise ValueError(f"the environment variable {name} forbids downloads")


def download(url: str, path: Path, sha256: str, on_note: Callable[[str], None]) -> None:
    """Download a file to ``path``, under a temporary name until its hash is right.

    Parameters
    ----------
    sha256 : str
        The hexadecimal hash, or its first digits.
    on_note : callable
        Called with a sentence before the download, and every 10 seconds.

    Raises
    ------
    OSError, http.client.HTTPException, ValueError
        One of `FAILURES`, if the server does not answer, or sends another file. Nothing is kept.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with replaced_file(path) as temporary:
        with temporary.open("wb") as file:
            digest = copy_url(url, file, on_note)
        if not digest.startswith(sha256):
            raise ValueError(f"its SHA-256 begins with {digest[: len(sha256)]}; expected {sha256}")


def copy_url(url: str, file: IO[bytes], on_note: Callable[[str], None]) -> str:
    """Write the content at a URL to an open file, and return its SHA-256. Raises one of `FAILURES`."""
    check_online()
    request = urllib.request.Request(url, headers={"User-Agent": f"gluon-lifted/{__version__}"})
    with urllib.request.build_opener(HttpsRedirects).open(request, timeout=TIMEOUT) as response:
        if response.headers.get_content_type() == "text/html":
            raise ValueError("the server sent a web page instead of a file")
        total = _content_length(response)
        on_note(f"downloading {url_without_credentials(url)}" + (f" ({total / MB:,.0f} MB)" if total else ""))
        return _copy(response, file, total, on_note)


def failure_reason(error: Exception, url: str = "") -> str:
    """Return why a download failed, in a few words.

    Parameters
    ----------
    url : str
        The requested URL, if it may hold credentials. They are removed, like those of all URLs and of the environment.
    """
    reason: object = error
    if isinstance(error, urllib.error.HTTPError):
        error.close()  # the error is also the open response
        reason = f"the server answered {error.code} {error.reason}"
    elif isinstance(error, urllib.error.URLError):
        reason = error.reason
    lines = str(reason).strip().splitlines() or [type(error).__name__]
    line = reason_without_credentials(lines[0], url)
    return "".join(character if character.isprintable() else "?" for character in line)[:200]


def matches(path: Path, sha256: str, algorithm: str = "sha256") -> bool:
    """Whether ``path`` is a file whose hash begins with the digits ``sha256``."""
    if not path.is_file():
        return False
    digest = hashlib.new(algorithm, usedforsecurity=False)
    with path.open("rb") as file:
        while chunk := file.read(CHUNK):
            digest.update(chunk)
    return digest.hexdigest().startswith(sha256)


def _content_length(response: Any) -> int | None:
    text = response.headers.get("Content-Length", "")
    total = int(text) if text.isdecimal() else None
    if total is not None and total > MAX_FILE_BYTES:
        raise ValueError(f"the file has {total:,} bytes, more than {MAX_FILE_BYTES:,}")
    return total


def _copy(response: Any, file: IO[bytes], total: int | None, on_note: Callable[[str], None]) -> str:
    digest, size, noted = hashlib.sha256(), 0, time.monotonic()
    while chunk := response.read(CHUNK):
        size += len(chunk)
        if size > MAX_FILE_BYTES:
            raise ValueError(f"the server sent more than {MAX_FILE_BYTES:,} bytes")
        digest.update(chunk)
        file.write(chunk)
        if time.monotonic() - noted > NOTE_EVERY:
            noted = time.monotonic()
            on_note(f"downloaded {size / MB:,.0f}" + (f" of {total / MB:,.0f} MB" if total else " MB"))
    if total is not None and size != total:
        raise ValueError(f"the connection ended after {size:,} of {total:,} bytes")
    return digest.hexdigest()
