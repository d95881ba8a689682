"""A uvicorn server that shuts down without failing a request, and reloads on SIGHUP."""

from __future__ import annotations

import asyncio
import gc
import logging
import signal
import socket
from contextlib import contextmanager, suppress
from functools import partial
from typing import TYPE_CHECKING

import uvicorn

from gluon_lifted.errors import LiftedError
from serve_cli.http.closing import stop_connections
from serve_cli.http.protocol import GuardedProtocol
from serve_cli.http.reports import READY, RELOADED

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterator

    from serve_cli.http.app import Application

log = logging.getLogger(__name__)
IDLE_S = 1.0  # a client that has just sent a request on an idle connection must not see it closed
SLACK_S = 5.0  # beyond the longest request
KEEP_ALIVE_S = 65  # longer than most proxies keep idle connections, so that they close them first
TICK_S = 0.05
CHECKED_TICKS = 5
COLLECTED_AFTER = (10_000, 20, 20)  # allocations; collections of the young, and of the middle generation
MOST_ACCEPTED = 1000  # connections at once
FEW_ACCEPTED = 4  # by one of several processes, so that the others get some
NO_FILES_S = 1.0  # pause before the next connection if the process has no file descriptors left


def spare_the_collector() -> None:
    """Keep the garbage collector from scanning objects that live as long as the process, and from running often.

    A full collection of the libraries' objects takes 47 ms, during which no request progresses.
    """
    gc.unfreeze()
    gc.collect()
    gc.freeze()
    gc.set_threshold(*COLLECTED_AFTER)


class DrainingServer(uvicorn.Server):
    """Serves until SIGTERM or SIGINT.

    It then answers every request that a client has sent, asks clients to close their connections, and ends. Idle
    connections stay open for a moment, as a request may be on its way.

    Parameters
    ----------
    app : Application
        What to serve.
    listener : socket
        Bound and listening. Other processes may have copies.
    longest_s : float
        Longest time that a request may take.

    Attributes
    ----------
    received : int or None
        The signal that ended it.
    """

    def __init__(self, app: Application, listener: socket.socket, longest_s: float) -> None:
        super().__init__(
            uvicorn.Config(
                app,
                lifespan="on",
                http=GuardedProtocol,
                ws="none",
                log_config=None,
                access_log=False,
                proxy_headers=False,
                server_header=False,
                timeout_keep_alive=KEEP_ALIVE_S,
            )
        )
        self._application, self._listener, self._longest_s = app, listener, longest_s
        self.received: int | None = None
        self._failure: LiftedError | None = None
        self._background: set[asyncio.Task[None]] = set()
        self._reports: socket.socket | None = None

    def run_until_signal(self) -> None:
        """Serve. Raises `LiftedError` if the model cannot be opened."""
        self._listener.settimeout(0)
        self.run([])
        if self._failure is not None:
            raise self._failure

    def report_to(self, descriptor: int) -> None:
        """Report to a supervising process, and end when it is gone; see `serve_cli.http.reports`."""
        self._reports = socket.socket(fileno=descriptor)
        self._reports.settimeout(0)
        self._application.holder.on_reload = lambda: self._report(RELOADED)

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Handle signals in the event loop."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self.begin_drain, number)
        loop.add_signal_handler(signal.SIGHUP, self._in_background, self._reload)
        if self._reports is not None:
            loop.add_reader(self._reports, self._supervisor_gone)
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Listen, then open the model: the process is live before it is ready.

        One of several processes opens it first, as the others are ready to answer.
        """
        if self._reports is not None:
            await self._open()
        await super().startup([])  # connections are accepted here
        self._listen()
        if self._reports is None:
            self._in_background(self._open)

    def _listen(self) -> None:
        if not self.should_exit:
            asyncio.get_running_loop().add_reader(self._listener, self._accept)

    def _accept(self) -> None:
        """Accept all waiting connections. uvloop accepts one per turn, so under load most would wait for seconds."""
        loop = asyncio.get_running_loop()
        try:
            for _ in range(MOST_ACCEPTED if self._reports is None else FEW_ACCEPTED):
                connection, _ = self._listener.accept()
                self._in_background(partial(self._connect, connection))
        except (BlockingIOError, ConnectionAbortedError):  # there are no more, or a client has left; others can wait
            return
        except OSError as error:
            log.warning("lifted: cannot accept connections: %s.", error.strerror)
            loop.remove_reader(self._listener)
            loop.call_later(NO_FILES_S, self._listen)

    async def _connect(self, connection: socket.socket) -> None:
        with suppress(OSError):  # the client has left
            await asyncio.get_running_loop().connect_accepted_socket(self._protocol, connection)

    async def on_tick(self, counter: int) -> bool:
        """Close the connections of clients that are too slow. Uvicorn calls this ten times a second."""
        if counter % CHECKED_TICKS == 0:
            self._close_late()
        return await super().on_tick(counter)

    def _close_late(self) -> None:
        now = asyncio.get_running_loop().time()
        for connection in list(self.server_state.connections):
            if isinstance(connection, GuardedProtocol):
                connection.close_if_late(now)

    def begin_drain(self, number: int) -> None:
        """End after the requests that have been sent, or at once if asked twice."""
        self.force_exit = self.received is not None
        self.received = number
        self._application.holder.draining = self.should_exit = True

    def _in_background(self, function: Callable[[], Coroutine[None, None, None]]) -> None:
        task = asyncio.get_running_loop().create_task(function())
        self._background.add(task)
        task.add_done_callback(self._background.discard)

    async def _open(self) -> None:
        try:
            await self._application.holder.open()
        except LiftedError as error:
            self._failure, self.should_exit = error, True
        else:
            spare_the_collector()
            self._report(READY)
            log.info("lifted: ready.")

    def _report(self, message: bytes) -> None:
        if self._reports is not None:
            with suppress(OSError):
                self._reports.send(message)

    def _supervisor_gone(self) -> None:
        if self._reports is not None:
            asyncio.get_running_loop().remove_reader(self._reports)
        self.begin_drain(signal.SIGTERM)

    async def _reload(self) -> None:
        try:
            await self._application.holder.reload()
        except LiftedError as error:
            log.error("lifted: not reloaded, the old model and index stay: %s", error)
        else:
            spare_the_collector()
            log.info("lifted: reloaded.")

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Answer the requests that were sent, then release the model."""
        loop = asyncio.get_running_loop()
        loop.remove_reader(self._listener)
        await self._accept_rest()
        began, state = loop.time(), self.server_state
        while not self.force_exit:
            await asyncio.sleep(TICK_S)  # first: a connection that was just accepted is not among `connections` yet
            if not (state.connections or state.tasks):
                break
            passed = loop.time() - began
            if passed > IDLE_S:
                for connection in list(state.connections):
                    connection.shutdown()  # closes it, if it is idle
            if passed > self._longest_s + SLACK_S:
                log.warning("lifted: %d requests did not end in time and were cut off.", len(state.tasks))
                break
            self._close_late()
        for task in list(state.tasks):
            task.cancel()
        await self.lifespan.shutdown()

    async def _accept_rest(self) -> None:
        """Accept connections that clients have already opened. The system would reset them."""
        if self._reports is None:  # otherwise the supervising process has done so
            stop_connections(self._listener)
        with suppress(OSError):  # there is none
            while True:
                connection, _ = self._listener.accept()
                await self._connect(connection)
        self._listener.close()

    def _protocol(self) -> GuardedProtocol:
        return GuardedProtocol(self.config, self.server_state, self.lifespan.state)
