"""``GET /images/ID``: thumbnails of rows."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from starlette.responses import Response
from starlette.routing import Route

from serve_cli.http.errors import RequestError, not_shown
from serve_cli.http.request_body import read_body
from serve_cli.http.request_context import context_of, unless_client_leaves

if TYPE_CHECKING:
    from starlette.requests import Request

DEFAULT_SIDE, MIN_SIDE, MAX_SIDE = 256, 16, 512  # pixels
CACHE = "private, max-age=3600"


async def image(request: Request) -> Response:
    """Return the picture of a row as JPEG."""
    context = context_of(request)
    await read_body(request)  # before the connection is watched
    name = request.path_params["id"]
    gallery = context.service.require_index().gallery
    side = _side(request.query_params.get("size", str(DEFAULT_SIDE)))
    url = gallery.url_to_fetch(name, side)
    content = None if url is None else await _fetch(request, url, name)
    picture = await context.call(request.receive, partial(gallery.thumbnail, name, side, content))
    return Response(picture, headers={"Cache-Control": CACHE}, media_type="image/jpeg")


async def _fetch(request: Request, url: str, name: str) -> bytes:
    """Fetch a picture that the index names by URL, from the same hosts that requests may name."""
    context = context_of(request)
    try:
        (content,) = await unless_client_leaves(request.receive, context.remote_images.fetch([url]))
    except RequestError:
        raise not_shown(name) from None
    context.take_body(len(content))
    return content


def _side(text: str) -> int:
    if not (text.isascii() and text.isdecimal() and len(text) < 5 and MIN_SIDE <= int(text) <= MAX_SIDE):
        raise RequestError(422, f"size is {text!r:.50}; expected {MIN_SIDE} to {MAX_SIDE} pixels.")
    return int(text)


ROUTES = [Route("/images/{id:path}", image)]
