"""Clients for `serve.py`: wrk if it is installed, and an asyncio client that keeps statuses and times apart."""

from __future__ import annotations

import asyncio
import json
import shutil
import subprocess
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

WRK = shutil.which("wrk")
MOST_CONNECTIONS, LATE_S = 1500, 60.0
# Each thread sends all bodies in turn; `done` prints what wrk's own summary leaves out
SCRIPT = """
local bodies, number, kind, folder, count = {}, 0, "", "", 0
function init(arguments)
  folder, count, kind = arguments[1], tonumber(arguments[2]), arguments[3]
  for i = 0, count - 1 do
    local file = io.open(folder .. "/" .. i, "rb")
    bodies[i] = wrk.format("POST", nil, {["Content-Type"] = kind}, file:read("*a"))
    file:close()
  end
end
function request()
  number = (number + 1) % count
  return bodies[number]
end
function done(summary, latency, requests)
  io.write(string.format('\\nJSON {"requests": %d, "seconds": %f, "p50": %f, "p99": %f, "errors": %d}\\n',
    summary.requests, summary.duration / 1e6, latency:percentile(50) / 1e3, latency:percentile(99) / 1e3,
    summary.errors.status + summary.errors.connect + summary.errors.read + summary.errors.write
    + summary.errors.timeout))
end
"""


@dataclass
class Load:
    """Requests that were answered, and how."""

    seconds: float
    requests: int
    p50_ms: float
    p99_ms: float
    errors: int

    @property
    def rate(self) -> float:
        return self.requests / self.seconds


@dataclass
class Answers:
    """What the asyncio client saw: milliseconds by status; 0 is a connection that broke."""

    seconds: float = 0.0
    ms: dict[int, list[float]] = field(default_factory=dict)

    def add(self, status: int, ms: float) -> None:
        self.ms.setdefault(status, []).append(ms)

    def statuses(self) -> Counter[int]:
        return Counter({status: len(times) for status, times in self.ms.items()})

    def percentile(self, status: int, percent: float) -> float:
        times = self.ms.get(status)
        return float(np.percentile(times, percent)) if times else float("nan")


def closed_load(port: int, path: str, bodies: list[bytes], kind: str, clients: int, seconds: float) -> Load:
    """Let clients send one request after another."""
    if WRK:
        return _wrk(port, path, bodies, kind, clients, seconds)
    answers = asyncio.run(_closed(port, [_request(path, body, kind) for body in bodies], clients, seconds))
    good = len(answers.ms.get(200, []))
    errors = sum(answers.statuses().values()) - good
    return Load(answers.seconds, good, answers.percentile(200, 50), answers.percentile(200, 99), errors)


def _wrk(port: int, path: str, bodies: list[bytes], kind: str, clients: int, seconds: float) -> Load:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "post.lua").write_text(SCRIPT)
        for number, body in enumerate(bodies):
            (folder / str(number)).write_bytes(body)
        output = subprocess.run(
            [
                *("wrk", "-t1", f"-c{clients}", f"-d{seconds:.0f}s", "--timeout", "30s"),
                *("-s", str(folder / "post.lua"), f"http://127.0.0.1:{port}{path}"),
                *("--", str(folder), str(len(bodies)), kind),
            ],
            capture_output=True,
            text=True,
            check=True,
        ).stdout
    values = json.loads(next(line[5:] for line in output.splitlines() if line.startswith("JSON ")))
    return Load(values["seconds"], values["requests"], values["p50"], values["p99"], values["errors"])


def open_load(port: int, path: str, bodies: list[bytes], kind: str, rate: float, seconds: float) -> Answers:
    """Send requests at a rate, whether earlier ones have been answered or not."""
    return asyncio.run(_open(port, [_request(path, body, kind) for body in bodies], rate, seconds))


class Connection(asyncio.Protocol):
    """Keeps a connection and sends one request at a time."""

    def __init__(self) -> None:
        self._received, self._expected, self._status = 0, -1, 0
        self._head = b""
        self.done: asyncio.Future[int] | None = None
        self.transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def ask(self, request: bytes) -> asyncio.Future[int]:
        """Send a request; its result is the status of the answer."""
        assert self.transport is not None
        self._head, self._expected, self._received = b"", -1, 0
        self.done = asyncio.get_running_loop().create_future()
        self.transport.write(request)
        return self.done

    def data_received(self, data: bytes) -> None:
        if self._expected < 0:
            self._head += data
            end = self._head.find(b"\r\n\r\n")
            if end < 0:
                return
            lines = self._head[:end].lower().split(b"\r\n")
            self._status = int(lines[0][9:12])
            self._expected = next(int(line[15:]) for line in lines if line.startswith(b"content-length:"))
            self._received = len(self._head) - end - 4
        else:
            self._received += len(data)
        if self._received >= self._expected and self.done is not None and not self.done.done():
            self.done.set_result(self._status)

    def connection_lost(self, error: Exception | None) -> None:
        self.transport = None
        if self.done is not None and not self.done.done():
            self.done.set_result(0)


async def connect(port: int) -> Connection:
    _, protocol = await asyncio.get_running_loop().create_connection(Connection, "127.0.0.1", port)
    return protocol


async def _closed(port: int, requests: list[bytes], clients: int, seconds: float) -> Answers:
    answers, began = Answers(), time.perf_counter()

    async def client(number: int) -> None:
        connection = await connect(port)
        while time.perf_counter() < began + seconds:
            number += 1
            sent = time.perf_counter()
            answers.add(await connection.ask(requests[number % len(requests)]), 1e3 * (time.perf_counter() - sent))
            if connection.transport is None:
                connection = await connect(port)
        if connection.transport is not None:
            connection.transport.close()

    await asyncio.gather(*(client(number) for number in range(clients)))
    answers.seconds = time.perf_counter() - began
    return answers


async def _open(port: int, requests: list[bytes], rate: float, seconds: float) -> Answers:
    answers, idle, tasks = Answers(), list[Connection](), set[asyncio.Task[None]]()
    began = time.perf_counter()

    async def send(number: int) -> None:
        try:
            connection = idle.pop() if idle else await connect(port)
            if connection.transport is None:
                connection = await connect(port)
        except OSError:
            answers.add(0, 0.0)
            return
        sent = time.perf_counter()
        answers.add(await connection.ask(requests[number % len(requests)]), 1e3 * (time.perf_counter() - sent))
        if connection.transport is not None:
            idle.append(connection)

    number = 0
    while (passed := time.perf_counter() - began) < seconds:
        while number < rate * passed and len(tasks) < MOST_CONNECTIONS:
            task = asyncio.ensure_future(send(number))
            tasks.add(task)
            task.add_done_callback(tasks.discard)
            number += 1
        await asyncio.sleep(0.002)
    if tasks:
        await asyncio.wait(tasks, timeout=LATE_S)
    answers.seconds = time.perf_counter() - began
    for connection in idle:
        if connection.transport is not None:
            connection.transport.close()
    return answers


def _request(path: str, body: bytes, kind: str) -> bytes:
    head = f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode() + body
