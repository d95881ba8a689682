"""Fetch images by URL, only from allowed hosts with public addresses.

A stranger chooses the URLs. So a name is resolved once, every address is checked, and the connection is made to the
checked address, since a second resolution could return another one. Each redirect is checked in the same way.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING
from urllib.parse import quote, urljoin

import h11

from serve_cli.http.addresses import is_public
from serve_cli.http.errors import RequestError
from serve_cli.http.parsing.media_types import parse_media_type

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from serve_cli.http.allowed_hosts import AllowedHosts, Target

MAX_REDIRECTS = 3
REDIRECTS = frozenset({301, 302, 303, 307, 308})
AT_A_TIME = 8  # images that are fetched
SECONDS = 10.0  # for an image, with its redirects
CHUNK = 1 << 16
SAFE = "/?&=%:;,+$!*'()~@[]-._"  # in a path and a query; a `%` is that of an encoded character
TROUBLE = (OSError, ssl.SSLError, h11.RemoteProtocolError, h11.LocalProtocolError, ValueError)


@dataclass(frozen=True)
class RemoteImages:
    """Fetches images.

    Parameters
    ----------
    hosts : AllowedHosts
        Empty if images by URL are off.
    max_bytes : int
        Largest image, and largest total of the images of a request.
    seconds : float
        Longest time for an image.
    is_allowed : callable
        Whether an address may be connected to. Tests allow loopback.
    """

    hosts: AllowedHosts
    max_bytes: int
    seconds: float = SECONDS
    is_allowed: Callable[[str], bool] = is_public
    _room: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(AT_A_TIME), init=False)

    async def fetch(self, urls: Sequence[str]) -> list[bytes]:
        """Fetch images of at most ``max_bytes`` together.

        Raises
        ------
        RequestError
            As `fetch_image`, for the first that fails.
        """
        tasks = [asyncio.ensure_future(self.fetch_image(url)) for url in urls]
        contents: list[bytes] = []
        try:
            for task in tasks:
                contents.append(await task)
                self._require_within(sum(map(len, contents)))
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        return contents

    async def fetch_image(self, url: str) -> bytes:
        """Fetch an image.

        Raises
        ------
        RequestError
            403 if URLs are off, or its host or an address of it is not allowed. 422 if it cannot be fetched.
        """
        if not self.hosts:
            raise RequestError(403, "images by URL are off on this server; send the image itself.")
        try:
            async with self._room:
                return await asyncio.wait_for(self._follow(url), self.seconds)
        except asyncio.TimeoutError:
            raise RequestError(422, f"the image's server sent no image within {self.seconds:g} s.") from None

    @cached_property
    def _tls(self) -> ssl.SSLContext:
        return ssl.create_default_context()

    async def _follow(self, url: str) -> bytes:
        for _ in range(MAX_REDIRECTS + 1):
            target = self.hosts.target(url)
            address = await self._address(target)
            try:
                answer = await self._ask(target, address)
            except TROUBLE:  # the exact reason would reveal this network to a stranger
                raise RequestError(422, f"the image cannot be fetched from {target.host!r:.100}.") from None
            if isinstance(answer, bytes):
                return answer
            url = urljoin(url, answer.location)
        raise RequestError(422, f"the image's URL redirects more than {MAX_REDIRECTS} times.")

    async def _address(self, target: Target) -> str:
        """Resolve a host. Raises `RequestError` unless all its addresses are allowed."""
        loop = asyncio.get_running_loop()
        try:
            resolved = await loop.getaddrinfo(target.host, target.port, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError):
            raise RequestError(422, f"the host {target.host!r:.100} cannot be resolved.") from None
        addresses = [str(entry[4][0]) for entry in resolved]
        if not addresses or not all(map(self.is_allowed, addresses)):
            raise RequestError(403, f"the host {target.host!r:.100} has an address that is not public.")
        return addresses[0]

    async def _ask(self, target: Target, address: str) -> bytes | _Redirect:
        secure = target.scheme == "https"
        reader, writer = await asyncio.open_connection(
            address,
            target.port,
            ssl=self._tls if secure else None,
            server_hostname=target.host if secure else None,
        )
        try:
            connection = h11.Connection(h11.CLIENT)
            headers = [("Host", target.authority), ("User-Agent", "lifted"), ("Accept", "image/*")]
            headers += [("Accept-Encoding", "identity"), ("Connection", "close")]
            request = h11.Request(method="GET", target=quote(target.path, safe=SAFE), headers=headers)
            writer.write((connection.send(request) or b"") + (connection.send(h11.EndOfMessage()) or b""))
            await writer.drain()
            return await self._receive(connection, reader)
        finally:
            writer.close()
            with suppress(*TROUBLE):
                await writer.wait_closed()

    async def _receive(self, connection: h11.Connection, reader: asyncio.StreamReader) -> bytes | _Redirect:
        content = bytearray()
        while True:
            event = connection.next_event()
            if event is h11.NEED_DATA:
                connection.receive_data(await reader.read(CHUNK))
            elif isinstance(event, h11.Response):
                redirect = self._checked(event)
                if redirect is not None:
                    return redirect
            elif isinstance(event, h11.Data):
                content += event.data
                self._require_within(len(content))
            elif isinstance(event, h11.EndOfMessage):
                return bytes(content)
            elif not isinstance(event, h11.InformationalResponse):
                raise h11.RemoteProtocolError("the response is cut off")

    def _checked(self, response: h11.Response) -> _Redirect | None:
        """Return where a redirect leads, or None for an image of bounded size. Raises `RequestError` otherwise."""
        headers = {name.decode().lower(): value.decode("latin-1") for name, value in response.headers}
        if response.status_code in REDIRECTS and "location" in headers:
            return _Redirect(headers["location"])
        if response.status_code != 200:
            raise RequestError(422, f"the image's server answered with status {response.status_code}.")
        media_type = parse_media_type(headers.get("content-type", ""))
        if not media_type.is_image or headers.get("content-encoding", "identity").lower() != "identity":
            raise RequestError(
                422, f"the image's server sent the content type {media_type.name!r:.100}; expected an unencoded image."
            )
        length = headers.get("content-length", "0")
        self._require_within(int(length) if length.isdecimal() else 0)
        return None

    def _require_within(self, size: int) -> None:
        if size > self.max_bytes:
            raise RequestError(422, f"the image has {size:,} bytes or more; expected at most {self.max_bytes:,}.")


@dataclass(frozen=True)
class _Redirect:
    location: str
