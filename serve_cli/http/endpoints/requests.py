"""What endpoints share: parse a body off the event loop if it is large, and fetch images that are named by URL."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, TypeVar

import orjson
from starlette.responses import Response

from serve_cli.http.batching.batcher import IMAGE
from serve_cli.http.errors import JSON, RequestError
from serve_cli.http.parsing.image_text import ImageUrl
from serve_cli.http.request_context import context_of, unless_client_leaves

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from starlette.requests import Request

    from serve_cli.http.batching.job import Embedded
    from serve_cli.http.parsing.image_text import RequestImage

Parsed = TypeVar("Parsed")
PARSED_AT_ONCE = 1 << 20  # bytes of a body: about 2 ms


async def parsed(body: bytes, parse: Callable[[], Parsed]) -> Parsed:
    """Call a parser, in a thread if the body is large, so that other requests continue."""
    return parse() if len(body) <= PARSED_AT_ONCE else await asyncio.to_thread(parse)


async def embed_images(request: Request, images: Sequence[RequestImage]) -> list[Embedded]:
    """Fetch images that are URLs, and embed all. The request's body must have been read."""
    context = context_of(request)
    urls = [image.url for image in images if isinstance(image, ImageUrl)]
    fetched = iter(await unless_client_leaves(request.receive, context.remote_images.fetch(urls)) if urls else ())
    contents = [next(fetched) if isinstance(image, ImageUrl) else image for image in images]
    context.take_body(sum(map(len, contents)))  # they are in memory besides the body
    return await context.embed(request.receive, contents)


def require_embedded(results: Sequence[Embedded], names: Sequence[str]) -> None:
    """Raise `RequestError` 422 that names the first image without an embedding."""
    for result, name in zip(results, names, strict=True):
        if result.error is not None:
            raise RequestError(422, f"{name}: {result.error.removeprefix(f'{IMAGE}: ')}")


def json_response(content: Any, status: int = 200) -> Response:
    """Format an object that contains arrays as JSON."""
    return Response(orjson.dumps(content, option=orjson.OPT_SERIALIZE_NUMPY), status, media_type=JSON)
