"""Media types of requests and replies (RFC 9110, 8.3 and 12.5.1)."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from serve_cli.http.errors import RequestError

if TYPE_CHECKING:
    from collections.abc import Sequence

JSON, BYTES, MULTIPART = "application/json", "application/octet-stream", "multipart/form-data"
# Besides image/*: plain bytes, the type that `curl --data-binary` sends for any file, and none
RAW = frozenset({BYTES, "binary/octet-stream", "application/x-www-form-urlencoded", ""})
MAX_ACCEPT = 1000  # characters that are read; browsers send about 150
# A parameter of a header: its name and a token or a quoted string
PARAMETER = re.compile(r';\s*([\w!#$%&\'*+.^`|~-]+)=(?:"((?:[^"\\]|\\.)*)"|([^\s;"]*))')
ESCAPED = re.compile(r"\\(.)")


class MediaType(NamedTuple):
    """A media type in lower case, such as ``image/jpeg``, and its parameters. Empty if the header is missing."""

    name: str
    parameters: dict[str, str]

    @property
    def is_image(self) -> bool:
        """Whether a body of this type may be an image."""
        return self.name.startswith("image/") or self.name in RAW


def parse_media_type(header: str) -> MediaType:
    """Parse a ``Content-Type``, or any other header with parameters. Nothing is refused here."""
    name, mark, rest = header.partition(";")
    parameters: dict[str, str] = {}
    for match in PARAMETER.finditer(mark + rest):
        quoted, token = match[2], match[3]
        parameters.setdefault(match[1].lower(), token if quoted is None else ESCAPED.sub(r"\1", quoted))
    return MediaType(name.strip().lower(), parameters)


def require_plain(content_encoding: str) -> None:
    """Raise `RequestError` for a compressed body: a small one could expand to gigabytes."""
    if content_encoding.strip().lower() not in ("", "identity"):
        raise RequestError(
            415, f"the body has Content-Encoding {content_encoding!r:.50}; expected none: send it uncompressed."
        )


def preferred_type(accept: str, offered: Sequence[str]) -> str:
    """Choose the offered media type that a client prefers, or the first if it has no preference or accepts none."""
    weights: dict[str, float] = {}
    for item in accept[:MAX_ACCEPT].split(","):
        name, parameters = parse_media_type(item)
        weights[name] = _weight(parameters.get("q", "1"))

    def weight(media_type: str) -> float:
        ranges = (media_type, media_type.split("/", maxsplit=1)[0] + "/*", "*/*")
        return next((weights[name] for name in ranges if name in weights), 0.0)

    return max(offered, key=weight)  # the first of equal ones


def _weight(text: str) -> float:
    return float(text) if re.fullmatch(r"[01](\.\d{0,3})?", text, re.ASCII) else 1.0


def require_json(content_type: str, content_encoding: str) -> None:
    """Raise `RequestError` if a body declares a media type other than JSON."""
    require_plain(content_encoding)
    name = parse_media_type(content_type).name
    if name not in (JSON, ""):
        raise RequestError(415, f"the content type is {name!r:.100}; expected {JSON}.")
