"""Read the body of a request within limits of size and time."""

from __future__ import annotations

from typing import TYPE_CHECKING

from serve_cli.http.errors import ClientLeftError, RequestError
from serve_cli.http.request_context import context_of

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.types import Message


async def read_body(request: Request) -> bytes:
    """Read the whole body.

    Raises
    ------
    RequestError
        413 if it is larger than the limit, whether ``Content-Length`` says so or not; 408 if it arrives too slowly.
    ClientLeftError
        If the client closes the connection first.
    """
    context = context_of(request)
    most = context.options.limits.body_bytes
    declared = request.headers.get("content-length", "")
    if declared.isdecimal() and int(declared) > most:
        raise _too_large(int(declared), most)
    message = await _receive(request)
    if not message.get("more_body", False):  # the usual case, without copies
        body = bytes(message.get("body", b""))
        context.body_bytes = len(body)
        if len(body) > most:
            raise _too_large(len(body), most)
        return body
    parts, size = [message.get("body", b"")], len(message.get("body", b""))
    while message.get("more_body", False):
        message = await _receive(request)
        parts.append(message.get("body", b""))
        size += len(parts[-1])
        if size > most:
            raise _too_large(size, most)
    context.body_bytes = size
    return b"".join(parts)


async def _receive(request: Request) -> Message:
    message = await request.receive()
    if message["type"] == "http.disconnect":
        raise ClientLeftError("the client closed the connection.")
    return message


def _too_large(size: int, most: int) -> RequestError:
    return RequestError(413, f"the body has {size:,} bytes or more; at most {most:,} are accepted.")
