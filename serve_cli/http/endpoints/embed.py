"""``POST /embed``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import orjson
from starlette.responses import Response

from serve_cli.http.errors import JSON, RequestError
from serve_cli.http.request_body import read_body
from serve_cli.http.request_context import context_of

if TYPE_CHECKING:
    from starlette.requests import Request


async def embed(request: Request) -> Response:
    """Embed the image in the body."""
    context = context_of(request)
    (result,) = await context.embed(request.receive, [await read_body(request)])
    if result.embedding is None:
        raise RequestError(422, str(result.error))
    content = {"dim": len(result.embedding), "embeddings": [result.embedding], "errors": [None]}
    return Response(orjson.dumps(content, option=orjson.OPT_SERIALIZE_NUMPY), media_type=JSON)
