"""The ASGI application: its routes, and the handling around every request."""

from __future__ import annotations

import asyncio
import random
import time
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from starlette.routing import Router

from serve_cli.http.access import Access, add_security_headers
from serve_cli.http.access_log import AccessLog
from serve_cli.http.allowed_hosts import AllowedHosts
from serve_cli.http.errors import ClientLeftError, as_request_error, error_response, release_frames
from serve_cli.http.metrics import Metrics
from serve_cli.http.remote_images import RemoteImages
from serve_cli.http.request_context import CONTEXT, RequestContext
from serve_cli.http.routes import routes
from serve_cli.http.service import ServiceHolder

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from starlette.types import Message, Receive, Scope, Send

    from serve_cli.http.serve_options import ServeOptions

REQUEST_ID, LONGEST_ID = b"x-request-id", 128
NO_ROUTE = "none"  # label of requests that no route takes
MS = 1000.0


def make_app(options: ServeOptions, *, opens_itself: bool = True) -> Application:
    """Make the application of a process, for any ASGI server.

    Parameters
    ----------
    options : ServeOptions
        What to serve.
    opens_itself : bool
        Open the model when the server starts. Otherwise the server calls ``holder.open``, and until then every request
        for the model gets 503.

    Raises
    ------
    ConfigError
        If the token file cannot be used.
    """
    return Application(options, opens_itself=opens_itself)


class Application:
    """Handles what every request needs: access, context, errors as replies, headers, metrics and the access log.

    This is a plain ASGI application instead of a stack of middleware, which would take longer than the endpoints.

    Attributes
    ----------
    holder : ServiceHolder
        The current service.
    metrics : Metrics
        Metrics of this process.
    remote_images : RemoteImages
        Fetches images by URL.
    """

    def __init__(self, options: ServeOptions, *, opens_itself: bool) -> None:
        self._options, self._access = options, Access(options)
        self.metrics = Metrics()
        self.holder = ServiceHolder(options, self.metrics)
        self.remote_images = RemoteImages(AllowedHosts(options.allow_urls), options.limits.body_bytes)
        self._log = AccessLog() if options.access_log else None
        table = routes()
        self._paths: dict[object, str] = {route.endpoint: route.path for route in table}

        @asynccontextmanager
        async def lifespan(_: object) -> AsyncIterator[None]:
            if opens_itself:
                await self.holder.open()
            yield
            await self.holder.close()
            if self._log is not None:
                self._log.close()

        self._router = Router(table, lifespan=lifespan)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle a request, or the startup and shutdown of the server."""
        if scope["type"] != "http":
            await self._router(scope, receive, send)
            return
        began = time.perf_counter()
        deadline = asyncio.get_running_loop().time() + self._options.limits.seconds
        context = RequestContext(self.holder, self._options, self.metrics, self.remote_images, deadline)
        scope["app"] = self  # makes the router raise its errors
        scope.setdefault("state", {})[CONTEXT] = context
        reply = _Reply(send, _request_id(scope), self.holder)
        self.metrics.request_started()
        try:
            with self.holder.use() as context.opened:
                await self._answer(scope, receive, reply, context)
        finally:
            context.release_body()
            self._done(scope, reply, context, time.perf_counter() - began)

    async def _answer(self, scope: Scope, receive: Receive, reply: _Reply, context: RequestContext) -> None:
        try:
            self._access.check(scope)
            await self._router(scope, receive, reply.send)
        except Exception as error:  # a bug is logged and answered with 500; the server must live on
            service = context.opened
            refusal = as_request_error(error, () if service is None else service.private_paths)
            if isinstance(error, ClientLeftError):
                reply.status = refusal.status
            elif not reply.status:
                await error_response(refusal, scope["path"])(scope, receive, reply.send)
            release_frames(error)

    def _done(self, scope: Scope, reply: _Reply, context: RequestContext, seconds: float) -> None:
        path = self._paths.get(scope.get("endpoint"), NO_ROUTE)
        self.metrics.request_done(path, reply.status, seconds)
        if self._log is not None:
            self._log.add(
                {
                    "method": scope["method"],
                    "path": scope["path"],  # without the query, which may be private
                    "status": reply.status,
                    "ms": round(MS * seconds, 2),
                    "images": context.images,
                    "bytes": context.body_bytes,
                    "id": reply.request_id.decode("latin-1"),
                }
            )


class _Reply:
    """Adds headers to a reply and remembers its status, which is 0 until it starts."""

    __slots__ = ("_holder", "_send", "request_id", "status")

    def __init__(self, send: Send, request_id: bytes, holder: ServiceHolder) -> None:
        self._send, self.request_id, self._holder, self.status = send, request_id, holder, 0

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            headers = message["headers"] = list(message.get("headers", ()))
            add_security_headers(headers)
            headers.append((REQUEST_ID, self.request_id))
            if self._holder.draining:
                headers.append((b"connection", b"close"))
        await self._send(message)


def _request_id(scope: Scope) -> bytes:
    """Return the id that a client or proxy has chosen, if it is harmless, or a random one."""
    for name, value in scope["headers"]:
        if name == REQUEST_ID and len(value) <= LONGEST_ID and value.isascii() and value.decode().isprintable():
            return bytes(value)
    return random.randbytes(8).hex().encode()  # a system call would hand the interpreter to another thread
