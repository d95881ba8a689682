"""KServe's Open Inference Protocol (v2): health, metadata, and tensors in and out."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from starlette.responses import Response
from starlette.routing import Route

from gluon_lifted import __version__
from gluon_lifted.contract import EMBEDDING_OUTPUT, PIXEL_INPUT
from serve_cli.http.endpoints.requests import json_response, parsed
from serve_cli.http.errors import JSON, RequestError
from serve_cli.http.parsing.kserve_tensors import FLOATS, JSON_LENGTH, PIXELS, infer_reply, parse_infer
from serve_cli.http.parsing.media_types import BYTES, require_plain
from serve_cli.http.request_body import read_body
from serve_cli.http.request_context import context_of

if TYPE_CHECKING:
    from starlette.requests import Request

    from serve_cli.http.service import Service


async def server(request: Request) -> Response:
    """Describe the server."""
    return json_response({"name": "lifted", "version": __version__, "extensions": ["binary_tensor_data"]})


async def live(request: Request) -> Response:
    """Answer as long as the process runs."""
    return json_response({"live": True})


async def ready(request: Request) -> Response:
    """Answer 200 if requests are welcome, else 503."""
    holder = context_of(request).holder
    is_ready = holder.current is not None and not holder.draining
    return json_response({"ready": is_ready}, 200 if is_ready else 503)


async def model_ready(request: Request) -> Response:
    """Answer as `ready`, for a model."""
    service = _named(request)
    is_ready = not context_of(request).holder.draining
    return json_response({"name": service.name, "ready": is_ready}, 200 if is_ready else 503)


async def metadata(request: Request) -> Response:
    """Describe the tensors of the model."""
    if request.path_params["name"].endswith("/infer"):  # names may contain slashes, so this route takes it, too
        raise RequestError(405, "infer takes POST requests only.", headers={"Allow": "POST"})
    service = _named(request)
    card = service.embedder.card
    crop = card.preprocessing.crop
    content = {
        "name": service.name,
        "platform": "onnxruntime_onnx",
        "inputs": [{"name": PIXEL_INPUT, "datatype": PIXELS, "shape": [-1, crop, crop, 3]}],
        "outputs": [{"name": EMBEDDING_OUTPUT, "datatype": FLOATS, "shape": [-1, card.dim]}],
    }
    return json_response(content)


async def infer(request: Request) -> Response:
    """Embed cropped images."""
    context, service = context_of(request), _named(request)
    body = await read_body(request)
    require_plain(request.headers.get("content-encoding", ""))
    crop, most = service.embedder.card.preprocessing.crop, context.options.limits.images
    asked = await parsed(body, partial(parse_infer, body, request.headers.get(JSON_LENGTH), crop, most))
    embedding = await context.embed_pixels(request.receive, asked.pixels)
    content, json_length = infer_reply(service.name, asked, embedding)
    if json_length is None:
        return Response(content, media_type=JSON)
    return Response(content, headers={JSON_LENGTH: str(json_length)}, media_type=BYTES)


def _named(request: Request) -> Service:
    """Return the service if the path names its model. Raises `RequestError` 404."""
    service, asked = context_of(request).service, request.path_params["name"]
    if asked != service.name:
        raise RequestError(404, f"there is no model {asked!r:.100}; this server has {service.name!r:.100}.")
    return service


ROUTES = [
    Route("/v2/models/{name:path}/infer", infer, methods=["POST"]),
    Route("/v2", server),
    Route("/v2/health/live", live),
    Route("/v2/health/ready", ready),
    Route("/v2/models/{name:path}/ready", model_ready),
    Route("/v2/models/{name:path}", metadata),
]
