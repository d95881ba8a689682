"""Access control, and the headers that keep replies from being misused."""

from __future__ import annotations

import hashlib
import hmac
from ipaddress import ip_address
from typing import TYPE_CHECKING

from gluon_lifted.errors import ConfigError
from serve_cli.http.errors import RequestError

if TYPE_CHECKING:
    from pathlib import Path

    from starlette.types import Scope

    from serve_cli.http.serve_options import ServeOptions

PUBLIC = frozenset({"/", "/live", "/ready", "/openapi.json", "/v2/health/live", "/v2/health/ready"})  # no data inside
ADMIN = "/admin/"
SHORTEST_TOKEN = 16
BEARER = b"bearer "
LOCAL_NAMES = frozenset({"localhost", "127.0.0.1", "[::1]", "testserver"})
CONTENT_POLICY = b"content-security-policy"
CACHE = b"cache-control"
EVERY_REPLY = [
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-resource-policy", b"same-origin"),
]
NO_CONTENT = (CONTENT_POLICY, b"default-src 'none'; frame-ancestors 'none'")
NO_STORE = (CACHE, b"no-store")


class Access:
    """Checks bearer tokens. Without tokens, a server on a loopback address answers to its own names only.

    The latter keeps web pages out, which can point a name of their own at 127.0.0.1 (DNS rebinding).

    Parameters
    ----------
    options : ServeOptions
        Its token file is read.

    Raises
    ------
    ConfigError
        If the token file cannot be read, has no token, or one that is easily guessed.
    """

    def __init__(self, options: ServeOptions) -> None:
        self._tokens = None if options.token_file is None else _read_tokens(options.token_file)
        self._only_local_names = self._tokens is None and is_loopback(options.host)

    def check(self, scope: Scope) -> None:
        """Raise `RequestError` 401 or 403 if a request is not allowed."""
        path: str = scope["path"]
        if self._only_local_names:
            _require_local_name(scope)
        if self._tokens is None:
            if path.startswith(ADMIN):
                raise RequestError(
                    403, "this server has no tokens, so nobody may administer it; start it with --token-file."
                )
        elif path not in PUBLIC and not self._has_token(scope):
            raise RequestError(
                401,
                "the bearer token is missing or wrong; send the header Authorization: Bearer TOKEN.",
                headers={"WWW-Authenticate": "Bearer"},
            )

    def _has_token(self, scope: Scope) -> bool:
        """Compare with every token, in a time that does not depend on the tokens."""
        sent = next((value for name, value in scope["headers"] if name == b"authorization"), b"")
        token = sent[len(BEARER) :].strip() if sent[: len(BEARER)].lower() == BEARER else b""
        digest = hashlib.sha256(token).digest()
        accepted = False
        for known in self._tokens or ():
            accepted |= hmac.compare_digest(digest, known)
        return accepted


def is_loopback(host: str) -> bool:
    """Return whether only this host can reach an address."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def add_security_headers(headers: list[tuple[bytes, bytes]]) -> None:
    """Add headers to a reply. The endpoint's own headers stay."""
    names = {name for name, _ in headers}
    headers += EVERY_REPLY
    if CONTENT_POLICY not in names:
        headers.append(NO_CONTENT)
    if CACHE not in names:
        headers.append(NO_STORE)


def _read_tokens(path: Path) -> list[bytes]:
    """Read the hashes of the tokens of a file."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not UTF-8"
        raise ConfigError(f"{path}: cannot be read ({reason}); give --token-file a text file of tokens.") from None
    tokens = [line.strip() for line in lines if line.strip()]
    if not tokens:
        raise ConfigError(f"{path}: has no token; write one per line, such as `openssl rand -hex 32` prints.")
    for number, token in enumerate(tokens, 1):
        if len(token) < SHORTEST_TOKEN:
            raise ConfigError(
                f"{path}: token {number} has {len(token)} characters; expected {SHORTEST_TOKEN} or more, such as "
                "`openssl rand -hex 32` prints."
            )
    return [hashlib.sha256(token.encode()).digest() for token in tokens]


def _require_local_name(scope: Scope) -> None:
    host = next((value for name, value in scope["headers"] if name == b"host"), b"").decode("latin-1")
    name = host if host.endswith("]") else host.rsplit(":", 1)[0]
    if name.lower() not in LOCAL_NAMES and not (name.startswith("127.") and is_loopback(name)):
        raise RequestError(
            403,
            f"the Host header is {name!r:.100}; expected localhost, since this server has no tokens and listens on a "
            "loopback address.",
        )
