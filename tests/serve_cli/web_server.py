"""Python's own web server on loopback, with the habits of others on top."""

from __future__ import annotations

import http.server
import re
import threading
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator


class WebServer(http.server.ThreadingHTTPServer):
    """Serves a folder.

    Attributes
    ----------
    ranges : bool
        Whether parts of files can be had; Python's server sends whole ones whatever it is asked for.
    sizes : bool
        Whether it says how long a file is.
    habits : dict
        Of a path: what goes wrong, request by request: a status, a status and a ``Retry-After``, or words that the
        handler knows. Then all is well.
    redirects : dict
        Of a path: where it has moved.
    asked : list
        Path and Range of each request.
    authorized : list
        Path and Authorization of each request.
    """

    daemon_threads = True

    def __init__(self, folder: Path, ranges: bool) -> None:
        super().__init__(("127.0.0.1", 0), partial(_Handler, directory=str(folder)))
        self.ranges, self.sizes = ranges, True
        self.habits: dict[str, list[str | int | tuple[int, str]]] = {}
        self.redirects: dict[str, str] = {}
        self.asked: list[tuple[str, str | None]] = []
        self.authorized: list[tuple[str, str | None]] = []
        self.over = threading.Event()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


@contextmanager
def serving(folder: Path, ranges: bool = True) -> Iterator[WebServer]:
    with WebServer(folder, ranges) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server
        finally:
            server.over.set()
            server.shutdown()
            thread.join()


class _Handler(http.server.SimpleHTTPRequestHandler):
    server: WebServer

    def log_message(self, *_: Any) -> None:
        pass

    def do_GET(self) -> None:
        part = self.headers.get("Range")
        self.server.asked.append((self.path, part))
        self.server.authorized.append((self.path, self.headers.get("Authorization")))
        waiting = self.server.habits.get(self.path)
        habit = waiting.pop(0) if waiting else ""
        if self.path in self.server.redirects:
            self._redirect(self.server.redirects[self.path])
        elif isinstance(habit, int):
            self.send_error(habit)
        elif isinstance(habit, tuple):
            self._ask_to_wait(*habit)
        elif habit == "drips":
            self._drip()
        elif habit == "hangs up":
            self.close_connection = True
        elif habit in ("falls silent", "promises much"):
            if habit == "promises much":
                self.send_response(200)
                self.send_header("Content-Length", str(1 << 40))
                self.end_headers()
            self.server.over.wait(10)
        elif habit == "never ends":
            self._never_end()
        elif (self.server.ranges and part) or habit or not self.server.sizes:
            self._send(habit, part if self.server.ranges else None)
        else:
            super().do_GET()

    def _ask_to_wait(self, status: int, seconds: str) -> None:
        self.send_response(status)
        self.send_header("Retry-After", seconds)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def _redirect(self, url: str) -> None:
        self.send_response(302)
        self.send_header("Location", url)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def _drip(self) -> None:
        """A byte now and then, well before a client takes the silence for the end."""
        self.send_response(200)
        self.send_header("Content-Length", "1000000")
        self.end_headers()
        with suppress(OSError):
            while not self.server.over.wait(0.01):
                self.wfile.write(b"x")

    def _never_end(self) -> None:
        self.send_response(200)
        self.end_headers()
        with suppress(OSError):
            while True:
                self.wfile.write(b"x" * 1000)

    def _send(self, habit: str, part: str | None) -> None:
        path = Path(self.translate_path(self.path))
        if not path.is_file():
            self.send_error(404)
            return
        content = path.read_bytes()
        whole = len(content)
        if part:
            found = re.fullmatch(r"bytes=(\d+)-(\d+)", part)
            assert found
            first, last = int(found[1]), min(int(found[2]), whole - 1)
            if first >= whole:
                self.send_error(416)
                return
            first += habit == "another part"
            content = content[first : last + 1 + (habit == "too much")]
            self.send_response(206)
            self.send_header("Content-Range", f"bytes {first}-{last}/{whole}")
        else:
            self.send_response(200)
        if self.server.sizes:
            self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content[: len(content) // 2] if habit == "cuts off" else content)
