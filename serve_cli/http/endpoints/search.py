"""``POST /search``: images, ids and vectors in, rows of the index out."""

from __future__ import annotations

import time
from functools import partial
from typing import TYPE_CHECKING

from starlette.routing import Route

from serve_cli.http.endpoints.requests import embed_images, json_response, parsed, require_embedded
from serve_cli.http.parsing.search_request import SearchLimits, parse_search
from serve_cli.http.request_body import read_body
from serve_cli.http.request_context import context_of

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

MS = 1000.0
STAGES = ("decode", "wait", "network")


async def search(request: Request) -> Response:
    """Search with the queries of a request, combined into one."""
    context, headers = context_of(request), request.headers
    index, limits = context.service.require_index(), context.options.limits
    body = await read_body(request)
    parse = partial(
        parse_search,
        body,
        headers.get("content-type", ""),
        dict(request.query_params),
        SearchLimits(limits.k, limits.images, index.catalog.dim),
        headers.get("content-encoding", ""),
    )
    asked = await parsed(body, parse)
    images, names = asked.images()
    results = await embed_images(request, images) if images else []
    require_embedded(results, names)
    embeddings = [result.embedding for result in results if result.embedding is not None]
    began = time.perf_counter()
    matches = await context.call(request.receive, partial(index.search, asked, embeddings))
    search_ms = MS * (time.perf_counter() - began)
    stages = {stage: max((getattr(result.times, stage) for result in results), default=0.0) for stage in STAGES}
    content = {
        "matches": matches,
        "exact": index.catalog.exact,
        "recall": index.catalog.manifest.recall,
        "rows": index.catalog.rows,
        "ms": {**stages, "search": search_ms},
    }
    return json_response(content)


ROUTES = [Route("/search", search, methods=["POST"])]
