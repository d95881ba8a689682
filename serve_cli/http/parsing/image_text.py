"""Images that JSON carries: base64, data URLs, and URLs to fetch."""

from __future__ import annotations

import base64
import binascii
import re
from typing import NamedTuple, TypeAlias

from serve_cli.http.errors import RequestError
from serve_cli.http.parsing.media_types import parse_media_type

MAX_URL = 8000  # characters; RFC 9110, 4.1 asks for at least 8000
MAX_PREFIX = 200  # characters of a data URL before its comma
LINE_ENDS = re.compile(r"[\r\n]+")  # `base64` wraps lines
DATA, WEB = "data:", re.compile(r"https?:", re.IGNORECASE)


class ImageUrl(NamedTuple):
    """An image to fetch."""

    url: str


RequestImage: TypeAlias = "bytes | ImageUrl"


def parse_image_text(text: str, where: str) -> RequestImage:
    """Decode base64 or a data URL. Return a web URL unchanged.

    Raises
    ------
    RequestError
        422 that names ``where``, if it is none of these.
    """
    if WEB.match(text):
        return image_url(text, where)
    if text[: len(DATA)].lower() == DATA:
        text = _data(text, where)
    elif "://" in text[:MAX_PREFIX]:
        raise RequestError(422, f"{where} is a URL with another scheme; expected http, https or data.")
    if "\n" in text or "\r" in text:
        text = LINE_ENDS.sub("", text)
    try:
        content = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise RequestError(
            422, f"{where} is not an image as base64 or a data URL ({error!s:.100}); encode the bytes of its file."
        ) from None
    if not content:
        raise RequestError(422, f"{where} is empty; expected an image as base64 or a data URL.")
    return content


def image_url(text: str, where: str) -> ImageUrl:
    """Check that a text is a web URL of bounded length."""
    if not WEB.match(text):
        raise RequestError(422, f"{where} is {text!r:.100}; expected a URL that begins with http: or https:.")
    if len(text) > MAX_URL:
        raise RequestError(422, f"{where} has {len(text):,} characters; expected at most {MAX_URL:,}.")
    return ImageUrl(text)


def _data(text: str, where: str) -> str:
    """Return the base64 of ``data:image/jpeg;base64,...`` (RFC 2397)."""
    comma = text.find(",", 0, MAX_PREFIX)
    prefix = text[len(DATA) : max(comma, 0)]
    media_type = parse_media_type(prefix)
    if comma < 0 or not prefix.lower().endswith(";base64") or not media_type.is_image:
        raise RequestError(
            422, f"{where} is a data URL that begins with {text[:50]!r}; expected data:image/...;base64,..."
        )
    return text[comma + 1 :]
