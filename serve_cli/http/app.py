"""The ASGI application: its routes, and what surrounds every request."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from starlette.routing import Route, Router

from serve_cli.http.allowed_hosts import AllowedHosts
from serve_cli.http.endpoints import embed, images, info, kserve, openai, openapi, search
from serve_cli.http.endpoints.health import live, ready
from serve_cli.http.errors import ClientLeftError, as_request_error, error_response
from serve_cli.http.metrics import Metrics
from serve_cli.http.remote_images import RemoteImages
from serve_cli.http.request_context import CONTEXT, RequestContext
from serve_cli.http.service import ServiceHolder

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from serve_cli.http.serve_options import ServeOptions


def make_app(options: ServeOptions, remote_images: RemoteImages | None = None) -> ASGIApp:
    """Make the application of a process. It opens the model at its start-up. Tests pass their own ``remote_images``."""
    metrics = Metrics()
    holder = ServiceHolder(options, metrics)

    @asynccontextmanager
    async def lifespan(_: object) -> AsyncIterator[None]:
        await holder.open()
        yield
        await holder.close()

    if remote_images is None:
        remote_images = RemoteImages(AllowedHosts(options.allow_urls), options.limits.body_bytes)
    return Entrance(Router(routes(), lifespan=lifespan), holder, options, metrics, remote_images)


def routes() -> list[Route]:
    """List the routes, the busiest first."""
    return [
        *embed.ROUTES,
        *openai.ROUTES,
        *search.ROUTES,
        *images.ROUTES,
        *kserve.ROUTES,
        *info.ROUTES,
        *openapi.ROUTES,
        Route("/live", live),
        Route("/ready", ready),
    ]


class Entrance:
    """What surrounds every request: its context, and errors as replies.

    This is a plain ASGI application instead of a stack of middleware, which would take longer than the endpoints.
    """

    def __init__(
        self,
        app: ASGIApp,
        holder: ServiceHolder,
        options: ServeOptions,
        metrics: Metrics,
        remote_images: RemoteImages,
    ) -> None:
        self._app, self.holder, self._options, self._metrics = app, holder, options, metrics
        self._remote_images = remote_images

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle a request, or the start and the end of the server."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        deadline = asyncio.get_running_loop().time() + self._options.limits.seconds
        context = RequestContext(self.holder, self._options, self._metrics, self._remote_images, deadline)
        scope["app"] = self  # makes the router raise its errors
        scope.setdefault("state", {})[CONTEXT] = context
        status = 0

        async def send_counted(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        with self.holder.use() as context.opened:
            try:
                await self._app(scope, receive, send_counted)
            except Exception as error:
                service = context.opened
                refusal = as_request_error(error, () if service is None else service.private_paths)
                if not status and not isinstance(error, ClientLeftError):
                    await error_response(refusal, scope["path"])(scope, receive, send_counted)
