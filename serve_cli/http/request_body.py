"""Read the body of a request within limits of size, memory and time."""

from __future__ import annotations

import asyncio
from contextlib import contextmanager
from typing import TYPE_CHECKING

from serve_cli.http.errors import ClientLeftError, RequestError
from serve_cli.http.request_context import context_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from starlette.requests import Request

CLOSE = {"Connection": "close"}  # the rest of the body is not worth waiting for


async def read_body(request: Request) -> bytes:
    """Read the whole body. Raises as `body_stream` does."""
    parts = [part async for part in body_stream(request)]
    return parts[0] if len(parts) == 1 else b"".join(parts)


async def body_stream(request: Request) -> AsyncIterator[bytes]:
    """Yield the body as it arrives.

    Raises
    ------
    RequestError
        413 if it is larger than the limit, whether ``Content-Length`` says so or not; 408 if it arrives too slowly;
        429 if the bodies of all requests together take too much memory.
    ClientLeftError
        If the client closes the connection first.
    """
    context = context_of(request)
    most = context.options.limits.body_bytes
    declared = request.headers.get("content-length", "")
    if declared.isdecimal() and int(declared) > most:
        raise _too_large(int(declared), most)
    with _time_limit(context.options.limits.body_seconds):
        more = True
        while more:
            message = await request.receive()
            if message["type"] == "http.disconnect":
                raise ClientLeftError("the client closed the connection.")
            part, more = message.get("body", b""), message.get("more_body", False)
            if context.body_bytes + len(part) > most:
                raise _too_large(context.body_bytes + len(part), most)
            context.take_body(len(part))
            yield part


@contextmanager
def _time_limit(seconds: float) -> Iterator[None]:
    """Raise `RequestError` 408 if the block is not left in time. Unlike `asyncio.wait_for`, it creates no task."""
    task, late = asyncio.current_task(), False
    assert task is not None

    def cancel() -> None:
        nonlocal late
        late = True
        task.cancel()

    alarm = asyncio.get_running_loop().call_later(seconds, cancel)
    try:
        yield
    except asyncio.CancelledError:
        if not late:
            raise
        raise RequestError(408, f"the body did not arrive within {seconds:g} s.", headers=CLOSE) from None
    finally:
        alarm.cancel()


def _too_large(size: int, most: int) -> RequestError:
    return RequestError(413, f"the body has {size:,} bytes or more; expected at most {most:,}.", headers=CLOSE)
