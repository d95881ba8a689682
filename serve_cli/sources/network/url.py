"""Check URLs before a library misinterprets them."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

CONTROL = re.compile(r"[\x00-\x1f\x7f]")
# One slash, or backslashes: read as a local path, its password would be stored as part of a file name.
MISSPELT = re.compile(r"(https?|s3a?|gs|gcs|abfss?|s?ftp):[/\\]", re.IGNORECASE)
NOT_IN_AUTHORITY = re.compile(r"[\s\"<>\\^`{|}]")  # RFC 3986, 3.2
ENCODED_IN_QUERY = re.compile(r"[\s\"'<>]")  # so that the end of a URL can be found in a sentence
WEB = ("http", "https")
STORES = ("s3", "s3a", "gs", "gcs")


class UrlError(ValueError):
    """A URL cannot be used. The message says why."""


def is_url(text: str) -> bool:
    """Whether a text is meant as a URL and not as a path."""
    return "://" in text or MISSPELT.match(text) is not None


def protocol_of(url: str) -> str:
    """Return the part before ``://``, which may be a chain of fsspec protocols, such as ``simplecache::https``."""
    return url.split("://", 1)[0]


def usable_url(text: str) -> str:
    """Normalize a URL for libraries: its scheme in lower case, white space in its query percent-encoded.

    Raises
    ------
    UrlError
        If it cannot be used. The message does not quote the URL, which may contain credentials.
    """
    if CONTROL.search(text):
        raise UrlError("it contains a control character")
    if "://" not in text:
        raise UrlError("expected '://' after its scheme")
    scheme = protocol_of(text)
    url = scheme.lower() + text[len(scheme) :]
    for link in url.split("::"):
        if protocol_of(link) in WEB:
            require_host(link)
        elif protocol_of(link) in STORES:
            _require_bucket(link)
    if protocol_of(url) not in WEB:
        return url
    path, mark, query = url.partition("?")
    return path + mark + ENCODED_IN_QUERY.sub(lambda match: f"%{ord(match[0]):02X}", query)


def require_host(url: str) -> None:
    """Raise `UrlError` unless an http or https URL has a host, and a port in range if any."""
    authority = re.split("[/?#]", url.split("://", 1)[1], maxsplit=1)[0]
    if NOT_IN_AUTHORITY.search(authority):
        raise UrlError("its host, user or password contains a character that must be percent-encoded")
    try:
        parts = urlsplit(url)
        host = parts.hostname
    except ValueError:
        raise UrlError("its host is not valid; write an IPv6 address in [ ]") from None
    if not host:
        raise UrlError("it has no host")
    try:
        port = parts.port
    except ValueError:
        port = 0
    if port == 0:
        raise UrlError(
            "its port is not a number from 1 to 65535; '/', '?' and '#' in a password are written %2F, %3F, %23"
        )


def _require_bucket(url: str) -> None:
    bucket = url.split("://", 1)[1].split("/", 1)[0]
    if not bucket:
        raise UrlError("it has no bucket")
    if "@" in bucket or ":" in bucket:
        raise UrlError(
            "a bucket name cannot contain '@' or ':'; set keys in the environment or in the configuration files of the "
            "store's own tools, not in the URL"
        )


def host_of(url: str) -> str:
    """Return ``host:port`` of a usable http or https URL."""
    parts = urlsplit(url)
    host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname
    return f"{host}:{parts.port or (443 if parts.scheme == 'https' else 80)}"
