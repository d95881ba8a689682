"""Read files on web servers, whole or in parts, with retries.

fsspec itself accepts any response to a request for a part of a file, and does not retry.
"""

from __future__ import annotations

import asyncio
import io
import re
import tempfile
from contextlib import ExitStack
from typing import IO, TYPE_CHECKING, Any

from gluon_lifted.errors import DataError
from serve_cli.sources.network.retry import SOURCE_TIMEOUT_S, RetryPolicy, call, retry_after
from serve_cli.sources.network.url import host_of

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from _typeshed import WriteableBuffer

    from serve_cli.sources.location import Location

RETRY_POLICY = RetryPolicy(SOURCE_TIMEOUT_S)
WHOLE_TIMEOUT_S = 3600.0  # for a manifest or list that its server sends only as a whole
BUSY = frozenset({408, 425, 429, 500, 502, 503, 504})  # temporary
CONNECT_S, SILENCE_S = 15, 60  # timeouts for a connection and for the next bytes
CHUNK = 1 << 20  # bytes
READ_AHEAD = 1 << 22  # bytes


class StatusError(OSError):
    """The server answered with an error status."""

    def __init__(self, status: int, reason: str | None, wait_s: float = 0.0) -> None:
        super().__init__(f"the server answers {status} {reason or ''}".rstrip())
        self.status, self.wait_s = status, wait_s


def is_web(location: Location) -> bool:
    """Whether a location is an http or https URL."""
    return getattr(location, "protocol", "") in ("http", "https")


def download(
    location: Location,
    into: IO[bytes],
    limit: int | None = None,
    part: range | None = None,
    policy: RetryPolicy | None = None,
) -> None:
    """Download a file, or the byte range ``part`` of it.

    Raises
    ------
    OSError, aiohttp.ClientError, TimeoutError
        If the server cannot be reached, refuses, has more than ``limit`` bytes, or sends another part.
    """

    async def receive() -> None:
        into.seek(0)
        into.truncate()
        await _receive(location, into, limit, part)

    _with_retries(location, receive, policy)


def open_web(location: Location, *, seekable: bool) -> io.BufferedReader:
    """Open a file. If the server does not send parts, download the whole file, or raise if ``seekable``."""
    size = size_in_parts(location)
    if size is not None:
        return io.BufferedReader(_WebFile(location, size), READ_AHEAD)
    if seekable:
        raise DataError(f"{location}: its server sends whole files only (no HTTP Range); download it first.")
    with ExitStack() as stack:
        whole: Any = stack.enter_context(tempfile.TemporaryFile())
        # Not streamed: the server would close a connection that stays open while rows are embedded.
        download(location, whole, policy=RETRY_POLICY.within(WHOLE_TIMEOUT_S))
        whole.seek(0)
        stack.pop_all()
    return io.BufferedReader(whole)


def require_there(location: Location) -> None:
    """Raise as `download` does if there is no such file."""
    size_in_parts(location)


def size_in_parts(location: Location) -> int | None:
    """Return the size of a file in bytes, or None if its server does not send parts. Raises as `download` does."""

    async def probe() -> int | None:
        async with await _ask(location, range(1)) as response:
            if response.status == 416:  # there is no first byte
                return 0
            _require_success(response)
            return _content_range(response)[1]

    size: int | None = _with_retries(location, probe)
    return size


class _WebFile(io.RawIOBase):
    """A file on a server that sends parts of files."""

    def __init__(self, location: Location, size: int) -> None:
        self._location, self._size, self._at = location, size, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        self._at = max(0, offset + {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._size}[whence])
        return self._at

    def readinto(self, buffer: WriteableBuffer) -> int:
        view = memoryview(buffer)
        part = range(self._at, min(self._at + len(view), self._size))
        if part:
            content = io.BytesIO()
            download(self._location, content, part=part)
            view[: len(part)] = content.getbuffer()
            self._at = part.stop
        return len(part)


def _with_retries(
    location: Location, attempt: Callable[[], Coroutine[Any, Any, Any]], policy: RetryPolicy | None = None
) -> Any:
    """Run on fsspec's thread, and retry temporary errors after a pause."""
    return call(location.fs.loop, host_of(location.path), attempt, _wait_for, policy or RETRY_POLICY)


def _wait_for(error: Exception) -> float | None:
    """See `serve_cli.sources.network.retry.Failure`."""
    import aiohttp

    if isinstance(error, StatusError):
        return error.wait_s if error.status in BUSY else None
    passing = (aiohttp.ClientConnectionError, aiohttp.ClientPayloadError, asyncio.TimeoutError, TimeoutError)
    return 0.0 if isinstance(error, passing) and not isinstance(error, aiohttp.ClientSSLError) else None


async def _ask(location: Location, part: range | None) -> Any:
    import aiohttp

    session = await location.fs.set_session()
    settings = {
        "timeout": aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_S, sock_read=SILENCE_S),
        **location.fs.kwargs,
    }
    headers = {**settings.pop("headers", {}), "Accept-Encoding": "identity"}
    if part is not None:
        headers["Range"] = f"bytes={part.start}-{part.stop - 1}"
    return await session.get(location.fs.encode_url(location.path), headers=headers, **settings)


async def _receive(location: Location, into: IO[bytes], limit: int | None, part: range | None) -> None:
    size = 0
    async with await _ask(location, part) as response:
        _require_success(response)
        if part is not None:
            limit = len(part)
            if _content_range(response)[0] != part.start:
                raise OSError("the server sends whole files only (no HTTP Range)")
        _require_within(response.content_length or 0, limit)
        async for chunk in response.content.iter_chunked(CHUNK):
            size += len(chunk)
            _require_within(size, limit)
            into.write(chunk)
    if part is not None and size < len(part):
        raise OSError(f"cut off after {size:,} of {len(part):,} bytes")


def _require_success(response: Any) -> None:
    if response.status >= 300:  # redirections were followed
        raise StatusError(response.status, response.reason, retry_after(response.headers))


def _require_within(size: int, limit: int | None) -> None:
    if limit is not None and size > limit:
        raise OSError(f"{size:,} bytes are more than the limit of {limit:,}")


def _content_range(response: Any) -> tuple[int | None, int | None]:
    """Return the offset of the first byte sent and the size of the whole file, or None where unknown."""
    match = re.fullmatch(r"bytes (\d+)-\d+/(\d+|\*)", response.headers.get("Content-Range", ""))
    if match is None:
        return None, None
    return int(match[1]), None if match[2] == "*" else int(match[2])
