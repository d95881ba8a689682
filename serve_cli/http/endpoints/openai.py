"""``POST /v1/embeddings`` and ``GET /v1/models`` in OpenAI's form."""

from __future__ import annotations

import base64
from functools import partial
from typing import TYPE_CHECKING, Any

from starlette.routing import Route

from serve_cli.http.endpoints.requests import embed_images, json_response, parsed, require_embedded
from serve_cli.http.errors import RequestError
from serve_cli.http.parsing.media_types import require_json
from serve_cli.http.parsing.openai_request import parse_openai
from serve_cli.http.request_body import read_body
from serve_cli.http.request_context import context_of

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from starlette.requests import Request
    from starlette.responses import Response

    from serve_cli.http.batching.job import Embedded


async def embeddings(request: Request) -> Response:
    """Embed images that are base64, data URLs or URLs."""
    context = context_of(request)
    service = context.service
    service.batcher.require_room(1)  # refusing before the body is read takes a third of the time
    body = await read_body(request)
    require_json(request.headers.get("content-type", ""), request.headers.get("content-encoding", ""))
    dim, most = service.embedder.card.dim, context.options.limits.images
    asked = await parsed(body, partial(parse_openai, body, service.name, dim, most))
    results = await embed_images(request, asked.images)
    require_embedded(results, [f"input[{number}]" for number in range(len(results))])
    data = [
        {"object": "embedding", "index": number, "embedding": _encoded(result, as_base64=asked.as_base64)}
        for number, result in enumerate(results)
    ]
    usage = {"prompt_tokens": 0, "total_tokens": 0}  # clients expect it; images have no tokens
    return json_response({"object": "list", "data": data, "model": service.name, "usage": usage})


async def models(request: Request) -> Response:
    """List the one model."""
    return json_response({"object": "list", "data": [_model(context_of(request).service.name)]})


async def model(request: Request) -> Response:
    """Describe the named model."""
    name, asked = context_of(request).service.name, request.path_params["name"]
    if asked != name:
        raise RequestError(404, f"there is no model {asked!r:.100}; this server has {name!r:.100}.")
    return json_response(_model(name))


def _encoded(result: Embedded, *, as_base64: bool) -> NDArray[np.float32] | str:
    assert result.embedding is not None
    if not as_base64:
        return result.embedding
    return base64.b64encode(result.embedding.astype("<f4", copy=False).tobytes()).decode()


def _model(name: str) -> dict[str, Any]:
    return {"id": name, "object": "model", "created": 0, "owned_by": "lifted"}


ROUTES = [
    Route("/v1/embeddings", embeddings, methods=["POST"]),
    Route("/v1/models", models),
    Route("/v1/models/{name:path}", model),
]
