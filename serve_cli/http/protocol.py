"""uvicorn's HTTP protocol with limits on what it leaves open: slow or endless headers, and readers that do not read."""

from __future__ import annotations

from typing import TYPE_CHECKING

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

if TYPE_CHECKING:
    import asyncio

HEADER_S = 10.0  # for the headers of a request, and for the first request of a connection
MOST_HEADER_BYTES = 1 << 16
REPLY_S = 30.0  # for a client to make room for the rest of a reply


class GuardedProtocol(HttpToolsProtocol):
    """Closes connections whose clients are too slow or send endless headers."""

    _alarm: asyncio.TimerHandle | None = None
    _in_headers, _header_bytes = True, 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Wait for the first request, but not forever."""
        super().connection_made(transport)
        self._arm(HEADER_S)

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the connection."""
        self._disarm()
        super().connection_lost(exc)

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
        self._arm(HEADER_S)

    def on_headers_complete(self) -> None:
        """Start the request."""
        self._in_headers = False
        self._disarm()
        super().on_headers_complete()

    def pause_writing(self) -> None:
        """Wait for the client to read, but not forever."""
        super().pause_writing()
        self._arm(REPLY_S)

    def resume_writing(self) -> None:
        """Continue to write."""
        self._disarm()
        super().resume_writing()

    def _arm(self, seconds: float) -> None:
        self._disarm()
        self._alarm = self.loop.call_later(seconds, self._too_slow)

    def _disarm(self) -> None:
        if self._alarm is not None:
            self._alarm.cancel()
            self._alarm = None

    def _too_slow(self) -> None:
        self._alarm = None
        self.transport.abort()
