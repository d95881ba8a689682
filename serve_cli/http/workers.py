"""Several server processes behind one port. They share its socket, so the system gives a connection to a free one."""

from __future__ import annotations

import logging
import os
import shutil
import signal
import socket
import sys
import tempfile
import time
from dataclasses import dataclass, replace
from multiprocessing import get_context
from multiprocessing.connection import wait
from typing import TYPE_CHECKING

from gluon_lifted.errors import RunError
from gluon_lifted.hardware.cpus import usable_cpus
from serve_cli.http.closing import stop_connections
from serve_cli.http.reports import READY, RELOADED

if TYPE_CHECKING:
    from multiprocessing.context import SpawnProcess

    from serve_cli.http.serve_options import ServeOptions

log = logging.getLogger(__name__)
FOLDER = "PROMETHEUS_MULTIPROC_DIR"  # of metrics; prometheus_client reads it when it is imported
POLL_S = 0.2
RESTART_S = 1.0  # at least, between the starts of a worker
SLACK_S = 10.0  # for workers to end, beyond the longest request


@dataclass
class _Worker:
    process: SpawnProcess
    reports: socket.socket
    started: float


class Workers:
    """Starts server processes, replaces dead ones, and passes signals on.

    Parameters
    ----------
    options : ServeOptions
        ``workers`` is their number. They share the cores, unless ``model_options`` say how many each may use.
    listener : socket
        The port.
    """

    def __init__(self, options: ServeOptions, listener: socket.socket) -> None:
        threads = options.model_options.threads or max(1, usable_cpus() // options.workers)
        self._options = replace(options, model_options=replace(options.model_options, threads=threads))
        self._listener, self._workers = listener, list[_Worker]()
        self._received: list[int] = []
        self._any_ready = False

    def run(self) -> int:
        """Serve until SIGTERM or SIGINT, and return its number.

        Raises
        ------
        RunError
            If a worker ends before any of them was ready.
        """
        folder = tempfile.mkdtemp(prefix="lifted-metrics-")
        os.environ[FOLDER] = folder
        handled = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
        before = {number: signal.signal(number, lambda number, _: self._received.append(number)) for number in handled}
        try:
            self._workers = [self._start() for _ in range(self._options.workers)]
            return self._supervise()
        finally:
            self._end()
            for number, handler in before.items():
                signal.signal(number, handler)
            del os.environ[FOLDER]
            shutil.rmtree(folder, ignore_errors=True)

    def _supervise(self) -> int:
        while True:
            wait([*(worker.process.sentinel for worker in self._workers), *self._reports()], timeout=POLL_S)
            while self._received:
                number = self._received.pop(0)
                if number != signal.SIGHUP:
                    return number
                self._signal(signal.SIGHUP)
            for index, worker in enumerate(self._workers):
                self._read(worker)
                if worker.process.exitcode is not None:
                    self._workers[index] = self._replace(worker)

    def _reports(self) -> list[socket.socket]:
        return [worker.reports for worker in self._workers]

    def _read(self, worker: _Worker) -> None:
        """Read what a worker reports."""
        try:
            reports = worker.reports.recv(64)
        except BlockingIOError:
            return
        except OSError:
            reports = b""
        self._any_ready |= READY in reports
        if RELOADED in reports:
            self._signal(signal.SIGHUP, besides=worker)

    def _replace(self, worker: _Worker) -> _Worker:
        from prometheus_client.multiprocess import mark_process_dead

        if not self._any_ready:
            raise RunError("a worker process ended before it was ready; its message above says why.")
        log.warning(
            "lifted: worker process %s ended with status %s; starting another.",
            worker.process.pid,
            worker.process.exitcode,
        )
        worker.reports.close()
        mark_process_dead(worker.process.pid)  # type: ignore[no-untyped-call]  # the library does not annotate it
        time.sleep(max(0.0, worker.started + RESTART_S - time.monotonic()))
        return self._start()

    def _start(self) -> _Worker:
        ours, theirs = socket.socketpair()
        ours.settimeout(0)
        process = get_context("spawn").Process(
            target=run_worker, args=(self._options, self._listener, theirs), name="lifted-worker"
        )
        process.start()
        theirs.close()
        return _Worker(process, ours, time.monotonic())

    def _signal(self, number: int, besides: _Worker | None = None) -> None:
        for worker in self._workers:
            if worker is not besides and worker.process.pid is not None and worker.process.is_alive():
                os.kill(worker.process.pid, number)

    def _end(self) -> None:
        """Close the port, let the workers answer pending requests, and wait for them."""
        stop_connections(self._listener)
        self._listener.close()
        self._signal(signal.SIGTERM)
        limits = self._options.limits
        end = time.monotonic() + limits.seconds + limits.body_seconds + SLACK_S
        for worker in self._workers:
            worker.process.join(max(0.0, end - time.monotonic()))
            if worker.process.is_alive():
                worker.process.kill()
                worker.process.join()
            worker.reports.close()


def run_worker(options: ServeOptions, listener: socket.socket, reports: socket.socket) -> None:
    """Serve in a process of `Workers`."""
    from gluon_lifted.errors import LiftedError
    from serve_cli.http.server import serve_in_process

    logging.basicConfig(format="%(message)s", level=logging.WARNING, stream=sys.stderr)
    logging.getLogger("serve_cli").setLevel(logging.INFO)
    try:
        serve_in_process(options, listener, reports.detach())
    except LiftedError as error:
        logging.getLogger(__name__).error("lifted: error: %s", error)
        sys.exit(1)
