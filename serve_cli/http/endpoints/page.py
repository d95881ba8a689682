"""``GET /``: the page to search with."""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

from serve_cli.http.page.page import search_page

if TYPE_CHECKING:
    from starlette.requests import Request


async def page(request: Request) -> Response:
    """Return the page. It holds no data, so browsers may keep it until it has changed."""
    made = search_page()
    return HTMLResponse(made.html, headers={"Content-Security-Policy": made.policy, "Cache-Control": "no-cache"})


ROUTES = [Route("/", page)]
