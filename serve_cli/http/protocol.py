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
    _header_bytes = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Wait for the first request, but not forever."""
        super().connection_made(transport)
        self._arm(HEADER_S)

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the connection."""
        self._disarm()
        super().connection_lost(exc)

    def on_message_begin(self) -> None:
        """Wait for the headers, but not forever."""
        super().on_message_begin()
        self._header_bytes = 0
        self._arm(HEADER_S)

    def on_url(self, url: bytes) -> None:
        """Take a part of the address."""
        self._count(len(url))
        super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a header."""
        self._count(len(name) + len(value))
        super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """Start the request."""
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

    def _count(self, size: int) -> None:
        self._header_bytes += size
        if self._header_bytes > MOST_HEADER_BYTES:
            raise ValueError("the headers are too large")  # the parser's error, which uvicorn answers with 400

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
