"""The access log: a line of JSON for each request, on stderr."""

from __future__ import annotations

import asyncio
import os
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import orjson

if TYPE_CHECKING:
    from concurrent.futures import Future

TICK_S = 0.2  # lines of this many seconds are written together, in a thread, so a slow reader delays no request
MOST_LINES = 20_000  # that wait for a slow reader; further ones are counted
STDERR = 2


class AccessLog:
    """Collects lines and writes them a few times a second. It is used from an event loop.

    Parameters
    ----------
    file : int
        File descriptor to write to.
    """

    def __init__(self, file: int = STDERR) -> None:
        self._file, self._lines, self._lost = file, list[bytes](), 0
        self._timer: asyncio.TimerHandle | None = None
        self._writing: Future[None] | None = None
        self._writer = ThreadPoolExecutor(1, thread_name_prefix="access-log")

    def add(self, entry: dict[str, object]) -> None:
        """Add the line of a request."""
        if len(self._lines) >= MOST_LINES:
            self._lost += 1
            return
        self._lines.append(orjson.dumps({"time": round(time.time(), 3), **entry}))
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(TICK_S, self._tick)

    def _tick(self) -> None:
        if self._writing is not None and not self._writing.done():
            self._timer = asyncio.get_running_loop().call_later(TICK_S, self._tick)
        else:
            self._write()

    def _write(self) -> None:
        self._timer = None
        self._writing = self._writer.submit(self._write_out, self._lines, self._lost)
        self._lines, self._lost = [], 0

    def _write_out(self, lines: list[bytes], lost: int) -> None:
        if lost:
            lines.append(orjson.dumps({"time": round(time.time(), 3), "lost_lines": lost}))
        content = memoryview(b"".join(line + b"\n" for line in lines))
        while content:
            content = content[os.write(self._file, content) :]

    def close(self) -> None:
        """Write what is left."""
        if self._timer is not None:
            self._timer.cancel()
            self._write()
        self._writer.shutdown()
