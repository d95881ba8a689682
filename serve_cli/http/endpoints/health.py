"""``GET /live`` and ``GET /ready``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.responses import PlainTextResponse, Response

from serve_cli.http.errors import RequestError
from serve_cli.http.request_context import context_of

if TYPE_CHECKING:
    from starlette.requests import Request


async def live(request: Request) -> Response:
    """Answer as long as the process runs."""
    return PlainTextResponse("live\n")


async def ready(request: Request) -> Response:
    """Answer 200 if requests are welcome, 503 while the model is being opened or the server drains."""
    holder = context_of(request).holder
    if holder.draining:
        raise RequestError(503, "the server is shutting down.")
    if holder.current is None:
        raise RequestError(503, "the model is being opened; try again soon.")
    return PlainTextResponse("ready\n")
