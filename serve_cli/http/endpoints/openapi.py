"""``GET /openapi.json``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.routing import Route

from serve_cli.http.endpoints.requests import json_response
from serve_cli.http.openapi import document

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response


async def openapi(request: Request) -> Response:
    """Return the OpenAPI document."""
    return json_response(document())


ROUTES = [Route("/openapi.json", openapi)]
