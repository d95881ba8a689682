"""``GET /info``: the model, the index with what to filter by, and the limits of requests."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from starlette.routing import Route

from serve_cli.http.endpoints.requests import json_response
from serve_cli.http.request_context import context_of

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

    from serve_cli.http.search_index import IndexSearch


async def info(request: Request) -> Response:
    """Describe what is served."""
    context = context_of(request)
    service, limits = context.service, context.options.limits
    card, index = service.embedder.card, service.index_search
    content = {
        "model": {
            "name": service.name,
            "sha256": service.embedder.model_sha256,
            "dim": card.dim,
            "distance": card.distance,
            "crop": card.preprocessing.crop,
        },
        "index": None if index is None else _index(index),
        "limits": {
            "k": limits.k,
            "images": limits.images,
            "body_bytes": limits.body_bytes,
            "max_pixels": limits.pixels,
        },
    }
    return json_response(content)


def _index(index: IndexSearch) -> dict[str, Any]:
    catalog = index.catalog
    return {
        "rows": catalog.rows,
        "exact": catalog.exact,
        "recall": catalog.manifest.recall,
        "dim": catalog.dim,
        "distance": catalog.distance,
        "columns": index.gallery.columns,
    }


ROUTES = [Route("/info", info)]
