"""Requests of ``POST /embed``: the bytes of an image, or a form of several."""

from __future__ import annotations

from dataclasses import dataclass

from serve_cli.http.errors import RequestError
from serve_cli.http.parsing.media_types import BYTES, JSON, MULTIPART, parse_media_type, preferred_type, require_plain
from serve_cli.http.parsing.multipart import parse_multipart


@dataclass(frozen=True)
class EmbedRequest:
    """Images to embed.

    Parameters
    ----------
    images : list of bytes
        Contents of image files, at least one.
    single : bool
        Whether the body was an image rather than a form.
    as_bytes : bool
        Whether the reply is float32 rather than JSON.
    """

    images: list[bytes]
    single: bool
    as_bytes: bool


def parse_embed(
    body: bytes, content_type: str, accept: str, max_images: int, content_encoding: str = ""
) -> EmbedRequest:
    """Parse a request.

    Raises
    ------
    RequestError
        415 for another content type, 413 for more than ``max_images``, 400 for a damaged or empty body.
    """
    require_plain(content_encoding)
    as_bytes = preferred_type(accept, (JSON, BYTES)) == BYTES
    media_type = parse_media_type(content_type)
    if media_type.name == MULTIPART:
        parts = parse_multipart(body, media_type, max_images)
        field = next((part for part in parts if not part.is_file), None)
        if field is not None:
            raise RequestError(400, f"the form's field {field.name!r:.100} is not a file; expected image files only.")
        if not parts:
            raise RequestError(400, "the form is empty; expected one part per image file.")
        return EmbedRequest([part.content for part in parts], single=False, as_bytes=as_bytes)
    if not media_type.is_image:
        raise RequestError(
            415,
            f"the content type is {media_type.name!r:.100}; expected image/*, {BYTES} or {MULTIPART}. Images in "
            "JSON go to /v1/embeddings.",
        )
    if not body:
        raise RequestError(400, "the body is empty; expected an image file.")
    return EmbedRequest([body], single=True, as_bytes=as_bytes)
