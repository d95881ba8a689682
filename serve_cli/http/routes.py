"""The table of routes."""

from __future__ import annotations

from starlette.routing import Route

from serve_cli.http.endpoints import embed, images, info, kserve, openai, openapi, page, search
from serve_cli.http.endpoints.admin import metrics, reload
from serve_cli.http.endpoints.health import live, ready


def routes() -> list[Route]:
    """List the routes, the busiest first, as they are tried in order."""
    return [
        *embed.ROUTES,
        *openai.ROUTES,
        *search.ROUTES,
        *images.ROUTES,
        *kserve.ROUTES,
        *info.ROUTES,
        *openapi.ROUTES,
        *page.ROUTES,
        Route("/live", live),
        Route("/ready", ready),
        Route("/metrics", metrics),
        Route("/admin/reload", reload, methods=["POST"]),
    ]
