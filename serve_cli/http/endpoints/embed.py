"""``POST /embed``: image files in, float32 or JSON out."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import numpy as np
from starlette.responses import Response
from starlette.routing import Route

from serve_cli.http.endpoints.requests import json_response, parsed, require_embedded
from serve_cli.http.parsing.embed_request import parse_embed
from serve_cli.http.parsing.media_types import BYTES
from serve_cli.http.request_body import read_body
from serve_cli.http.request_context import context_of

if TYPE_CHECKING:
    from starlette.requests import Request


async def embed(request: Request) -> Response:
    """Embed the image in the body, or all files of a form."""
    context, headers = context_of(request), request.headers
    context.service.batcher.require_room(1)  # refusing before the body is read takes a third of the time
    body = await read_body(request)
    parse = partial(
        parse_embed,
        body,
        content_type=headers.get("content-type", ""),
        accept=headers.get("accept", ""),
        max_images=context.options.limits.images,
        content_encoding=headers.get("content-encoding", ""),
    )
    asked = await parsed(body, parse)
    results = await context.embed(request.receive, asked.images)
    if asked.single:
        require_embedded(results, ["the body"])
    rows = [result.embedding for result in results]
    present = [row for row in rows if row is not None]
    if asked.as_bytes and len(present) == len(rows):
        embedding = np.stack(present).astype("<f4", copy=False)
        return Response(embedding.tobytes(), headers={"X-Shape": ",".join(map(str, embedding.shape))}, media_type=BYTES)
    content = {
        "dim": context.service.embedder.card.dim,
        "embeddings": rows,
        "errors": [result.error for result in results],
    }
    return json_response(content, 422 if asked.as_bytes else 200)


ROUTES = [Route("/embed", embed, methods=["POST"])]
