"""Requests of ``POST /v1/embeddings`` in OpenAI's form, with images in place of texts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from serve_cli.http.errors import RequestError
from serve_cli.http.parsing.image_text import parse_image_text
from serve_cli.http.parsing.json_body import json_object, parse_json, shown

if TYPE_CHECKING:
    from serve_cli.http.parsing.image_text import RequestImage

FORMATS = ("float", "base64")


@dataclass(frozen=True)
class OpenAIRequest:
    """Images to embed, at least one, and whether the reply has base64 in place of numbers."""

    images: list[RequestImage]
    as_base64: bool


def parse_openai(body: bytes, model: str, dim: int, max_images: int) -> OpenAIRequest:
    """Parse a request.

    Parameters
    ----------
    body : bytes
        ``input`` is base64, a data URL or a URL, or a list of these. As with other servers, an item may be an object
        ``{"image": ...}``. Fields that clients add, such as ``user``, are ignored.
    model : str
        Name of the served model. A request may leave it out, but may not name another one.
    dim : int
        The only accepted value of ``dimensions``.
    max_images : int
        Maximum number of items in ``input``.

    Raises
    ------
    RequestError
        404 for another model, 413 for too many images, 422 for an image or ``dimensions``, 400 for everything else.
    """
    fields = json_object(parse_json(body))
    asked = fields.text("model")
    if asked is not None and asked != model:
        raise RequestError(404, f"there is no model {asked!r:.100}; this server has {model!r:.100}.")
    encoding = fields.text("encoding_format") or FORMATS[0]
    if encoding not in FORMATS:
        raise fields.wrong("encoding_format", " or ".join(FORMATS))
    dimensions = fields.integer("dimensions")
    if dimensions not in (None, dim):
        raise fields.wrong("dimensions", f"{dim}, the width of this model's embeddings", 422)
    given = fields.get("input")
    items = given if isinstance(given, list) else [given]
    if not items:
        raise RequestError(400, "input is an empty list; expected one image or more.")
    if len(items) > max_images:
        raise RequestError(413, f"input has {len(items):,} items; expected at most {max_images:,} images.")
    names = [f"input[{number}]" for number in range(len(items))] if items is given else ["input"]
    images = [_image(item, name) for item, name in zip(items, names, strict=True)]
    return OpenAIRequest(images, encoding == "base64")


def _image(item: object, name: str) -> RequestImage:
    if isinstance(item, dict):
        item, name = item.get("image"), f"{name}.image"
    if not isinstance(item, str):
        raise RequestError(400, f"{name} is {shown(item)}; expected an image as base64 or a data URL.")
    return parse_image_text(item, name)
