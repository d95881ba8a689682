"""The hosts of ``--allow-urls``, and the checks of a URL before any connection is made."""

from __future__ import annotations

import re
from typing import NamedTuple
from urllib.parse import urlsplit

from gluon_lifted.errors import ConfigError
from serve_cli.http.errors import RequestError
from serve_cli.sources.network.url import CONTROL, UrlError, require_host

PORTS = {"http": 80, "https": 443}
ANY = "*"
PATTERN = re.compile(r"(?:\*\.)?([\w.-]+|\[[0-9a-f:.]+\])(?::(\d{1,5}))?", re.ASCII)


class Target(NamedTuple):
    """The parts of a URL that a connection needs."""

    scheme: str
    host: str
    port: int
    path: str

    @property
    def authority(self) -> str:
        """The ``Host`` header."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == PORTS[self.scheme] else f"{host}:{self.port}"


class AllowedHosts:
    """Hosts that images may be fetched from.

    Parameters
    ----------
    patterns : iterable of str
        ``example.com``, ``*.example.com`` for all hosts below it, or ``*`` for any host with a public address. Ports
        are 80 for http and 443 for https; ``example.com:8443`` allows another one.

    Raises
    ------
    ConfigError
        If a pattern is invalid.
    """

    def __init__(self, patterns: tuple[str, ...]) -> None:
        self._any = ANY in patterns
        self._hosts: set[tuple[str, int | None]] = set()
        for pattern in patterns:
            text = pattern.strip().lower()
            match = PATTERN.fullmatch(text)
            if text == ANY:
                continue
            if match is None:
                raise ConfigError(
                    f"--allow-urls: {pattern!r:.100} is not a host; give names such as example.com, *.example.com or "
                    "example.com:8443, without http:// and without a path."
                )
            host = text[: match.start(2) - 1] if match[2] else text
            self._hosts.add((host.strip("[]").rstrip("."), int(match[2]) if match[2] else None))

    def __bool__(self) -> bool:
        return self._any or bool(self._hosts)

    def target(self, url: str) -> Target:
        """Check a URL.

        Raises
        ------
        RequestError
            403 if its host or port is not allowed. 422 if it is not a web URL, or contains a password.
        """
        try:
            if CONTROL.search(url):
                raise UrlError("it contains a control character")
            if not url.lower().startswith(tuple(f"{scheme}://" for scheme in PORTS)):
                raise UrlError("it does not begin with http:// or https://")
            require_host(url)
            parts = urlsplit(url)
            host, port = _ascii(parts.hostname or ""), parts.port
        except (UrlError, ValueError) as error:
            raise RequestError(422, f"the URL cannot be used: {error!s:.200}.") from None
        if parts.username is not None or parts.password is not None:
            raise RequestError(422, "the URL cannot be used: it contains a user or a password.")
        port = PORTS[parts.scheme] if port is None else port
        if not self._allows(host, port, PORTS[parts.scheme]):
            raise RequestError(403, f"images from {host!r:.100}, port {port}, are not allowed by this server.")
        path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        return Target(parts.scheme, host, port, path)

    def _allows(self, host: str, port: int, usual: int) -> bool:
        labels = host.split(".")
        names = [host, *("*." + ".".join(labels[start:]) for start in range(1, len(labels)))]
        if any((name, port) in self._hosts for name in names):
            return True
        return port == usual and (self._any or any((name, None) in self._hosts for name in names))


def _ascii(host: str) -> str:
    """Return a host in lower case, and international names as DNS writes them. Raises `ValueError`."""
    host = host.rstrip(".").lower()
    return host if host.isascii() else host.encode("idna").decode()
