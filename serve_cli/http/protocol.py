"""uvicorn's HTTP protocol with limits on what clients leave open: slow or endless headers, unread replies."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

if TYPE_CHECKING:
    import asyncio

HEADER_S = 10.0  # for the headers of a request, and for the first request of a connection
MOST_HEADER_BYTES = 1 << 16
REPLY_S = 30.0  # for a client to make room for the rest of a reply


class GuardedProtocol(HttpToolsProtocol):
    """Refuses endless headers, and records since when it has waited for its client.

    The server closes it at a regular check, because a timer for each request would take longer than parsing it.
    """

    _in_headers, _header_bytes = True, 0
    _due = math.inf  # time of the event loop by which the client must have done its part

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn
        """Wait for the first request, but not forever."""
        super().connection_made(transport)
        self._due = self.loop.time() + HEADER_S

    def data_received(self, data: bytes) -> None:
        """Parse what has arrived, unless it only prolongs the headers."""
        super().data_received(data)
        if self._in_headers:
            self._header_bytes += len(data)
            if self._header_bytes > MOST_HEADER_BYTES and not self.transport.is_closing():
                self.send_400_response("The headers are too large.")

    def on_message_begin(self) -> None:
        """Wait for the headers, but not forever."""
        super().on_message_begin()
        self._in_headers, self._header_bytes = True, 0
        self._due = self.loop.time() + HEADER_S

    def on_headers_complete(self) -> None:
        """Start the request."""
        self._in_headers, self._due = False, math.inf
        super().on_headers_complete()

    def pause_writing(self) -> None:
        """Wait for the client to read, but not forever."""
        super().pause_writing()
        self._due = self.loop.time() + REPLY_S

    def resume_writing(self) -> None:
        """Continue to write."""
        super().resume_writing()
        self._due = math.inf

    def close_if_late(self, now: float) -> None:
        """Close the connection if its client has kept the server waiting for too long."""
        if now > self._due:
            self.transport.abort()
