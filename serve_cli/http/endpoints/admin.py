"""``GET /metrics`` and ``POST /admin/reload``."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import orjson
from starlette.responses import Response

from gluon_lifted.errors import LiftedError
from serve_cli.http.errors import JSON, RequestError
from serve_cli.http.metrics import EXPOSITION
from serve_cli.http.request_context import context_of

if TYPE_CHECKING:
    from starlette.requests import Request


async def metrics(request: Request) -> Response:
    """Return the metrics of all processes."""
    content = await asyncio.to_thread(context_of(request).metrics.exposition)
    return Response(content, headers={"content-type": EXPOSITION})


async def reload(request: Request) -> Response:
    """Open model and index again and switch to them. If they do not fit, the old ones stay, and the reply is 409."""
    context = context_of(request)
    try:
        service = await context.holder.reload()
    except LiftedError as error:
        raise RequestError(409, f"not reloaded: {error}") from error  # with paths: its reader has the token
    if context.holder.on_reload is not None:
        context.holder.on_reload()
    rows = None if service.index is None else service.index.catalog.rows
    content = {"model": service.name, "sha256": service.embedder.model_sha256, "rows": rows}
    return Response(orjson.dumps(content), media_type=JSON)
