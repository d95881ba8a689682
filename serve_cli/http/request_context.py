"""What endpoints need besides the request itself."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar, cast

from serve_cli.http.errors import ClientLeftError, RequestError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    import numpy as np
    from numpy.typing import NDArray
    from starlette.requests import Request
    from starlette.types import Receive

    from serve_cli.http.batching.job import Embedded
    from serve_cli.http.metrics import Metrics
    from serve_cli.http.remote_images import RemoteImages
    from serve_cli.http.serve_options import ServeOptions
    from serve_cli.http.service import Service, ServiceHolder

Value = TypeVar("Value")
CONTEXT = "context"  # key in the scope's state


@dataclass(slots=True)
class RequestContext:
    """The state of one request; `context_of` returns it.

    Parameters
    ----------
    holder : ServiceHolder
        For endpoints that reload or report readiness; others use ``service``.
    options : ServeOptions
        Options of the server.
    metrics : Metrics
        Metrics of this process.
    remote_images : RemoteImages
        Fetches images by URL.
    deadline : float
        Time of the event loop by which the reply is due.
    opened : Service, optional
        The service of this request. It stays open until the reply is sent.
    images : int
        Images so far.
    body_bytes : int
        Bytes of the body so far. They are counted in the memory of the service until the reply is sent.
    """

    holder: ServiceHolder
    options: ServeOptions
    metrics: Metrics
    remote_images: RemoteImages
    deadline: float
    opened: Service | None = None
    images: int = 0
    body_bytes: int = 0

    @property
    def service(self) -> Service:
        """The service. Raises `RequestError` 503 while none is open."""
        if self.opened is None:
            raise RequestError(503, "the model is being opened; try again soon.")
        return self.opened

    def take_body(self, size: int) -> None:
        """Count ``size`` more bytes of the body. Raises `RequestError` 429 if all bodies together are too large."""
        self.service.memory.take_body(size)
        self.body_bytes += size

    def release_body(self) -> None:
        """Stop counting the body."""
        if self.opened is not None:
            self.opened.memory.release_body(self.body_bytes)

    async def embed(self, receive: Receive, images: Sequence[bytes]) -> list[Embedded]:
        """Embed image files; see `Batcher.embed`. Their work is dropped if the client leaves.

        The body must have been read. Raises `RequestError` 413 if there are too many images.
        """
        self._count_images(len(images))
        return await unless_client_leaves(receive, self.service.batcher.embed(images, self.deadline))

    async def embed_pixels(self, receive: Receive, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Embed cropped images; see `Batcher.embed_pixels`. Otherwise as `embed`."""
        self._count_images(len(pixels))
        return await unless_client_leaves(receive, self.service.batcher.embed_pixels(pixels, self.deadline))

    async def call(self, receive: Receive, function: Callable[[], Value]) -> Value:
        """Call a function that computes or reads files in a thread; see `Service.call`."""
        return await unless_client_leaves(receive, self.service.call(function, self.deadline))

    def _count_images(self, number: int) -> None:
        self.images += number
        most = self.options.limits.images
        if self.images > most:
            raise RequestError(413, f"the request has {self.images} images; expected at most {most}.")


def context_of(request: Request) -> RequestContext:
    """Return the context that the application attached to a request."""
    return cast("RequestContext", request.scope["state"][CONTEXT])


async def unless_client_leaves(receive: Receive, work: Awaitable[Value]) -> Value:
    """Await ``work``. Cancel it and raise `ClientLeftError` if the client closes the connection first.

    The request's body must have been read, so that the next message can only be the end of the connection.
    """
    task = asyncio.current_task()
    assert task is not None
    watch: asyncio.Future[object] = asyncio.ensure_future(receive())
    left = False

    def leave(watch: asyncio.Future[object]) -> None:
        nonlocal left
        if not watch.cancelled():
            left = True
            task.cancel()

    watch.add_done_callback(leave)
    try:
        return await work
    except asyncio.CancelledError:
        if not left:
            raise
        raise ClientLeftError("the client closed the connection.") from None
    finally:
        watch.remove_done_callback(leave)
        watch.cancel()
