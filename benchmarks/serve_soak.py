"""Load `lifted serve` for minutes with clients that behave badly, then check that nothing leaks or is stuck.

    python benchmarks/serve_soak.py MODEL [--minutes 10] [--photos FOLDER]

Some clients post one image after another. Others leave in the middle of a body, leave before the
answer (by FIN or by RST), send a body byte by byte, send no image, or a form of several images of which some are
broken. At the end the counters of /metrics are compared with what the clients sent and saw.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import time
import urllib.request
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

from serve import JPEG, jpegs
from serve_processes import ServerProcess, lifted_server

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

CLIENTS = {"good": 8, "form": 2, "no image": 2, "leaves early": 3, "leaves in the body": 2, "slow": 4}
BOUNDARY = "between-images"
LEFT = 499
SLOW_S, PAUSE_S = (0.5, 12.0), 0.05  # a body must arrive within 10 s


class Soak:
    """Clients of a server, and what they sent and saw."""

    def __init__(self, port: int, contents: list[bytes], end: float) -> None:
        self.port, self.contents, self.end = port, contents, end
        self.random = random.Random(0)
        self.sent, self.seen = Counter[str](), Counter[int]()

    async def run(self) -> None:
        ways: dict[str, Callable[[], Awaitable[None]]] = {
            "good": self._good,
            "form": self._form,
            "no image": self._no_image,
            "leaves early": self._leaves_early,
            "leaves in the body": self._leaves_in_the_body,
            "slow": self._slow,
        }
        await asyncio.gather(*(self._client(name, ways[name]) for name, count in CLIENTS.items() for _ in range(count)))

    async def _client(self, name: str, behave: Callable[[], Awaitable[None]]) -> None:
        while time.monotonic() < self.end:
            self.sent[name] += 1
            try:
                await behave()
            except OSError:
                self.seen[0] += 1  # a connection that the server broke
            if name != "good":
                await asyncio.sleep(self.random.uniform(0, PAUSE_S))

    async def _good(self) -> None:
        await self._whole(self.random.choice(self.contents), JPEG)

    async def _no_image(self) -> None:
        await self._whole(self.random.randbytes(self.random.randint(1, 5000)), JPEG)

    async def _form(self) -> None:
        files = self.random.sample(self.contents, self.random.randint(1, 6))
        files += [b"\xff\xd8 broken"] * self.random.randint(0, 2)
        head = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="f"; filename="f"\r\n\r\n'.encode()
        body = b"".join(head + file + b"\r\n" for file in files) + f"--{BOUNDARY}--\r\n".encode()
        await self._whole(body, f"multipart/form-data; boundary={BOUNDARY}")

    async def _leaves_early(self) -> None:
        _, writer = await self._begin(JPEG, content := self.random.choice(self.contents))
        writer.write(content)
        await writer.drain()
        await asyncio.sleep(self.random.uniform(0, 0.1))
        await self._leave(writer)

    async def _leaves_in_the_body(self) -> None:
        _, writer = await self._begin(JPEG, content := self.random.choice(self.contents))
        writer.write(content[: self.random.randrange(1, len(content))])
        await writer.drain()
        await asyncio.sleep(self.random.uniform(0, 0.5))
        await self._leave(writer)

    async def _slow(self) -> None:
        reader, writer = await self._begin(JPEG, content := self.random.choice(self.contents))
        parts = self.random.randint(2, 20)
        seconds, size = self.random.uniform(*SLOW_S), -(-len(content) // parts)
        answer = asyncio.ensure_future(self._status(reader))
        for start in range(0, len(content), size):
            await asyncio.wait([answer], timeout=seconds / parts)
            if answer.done():
                break
            writer.write(content[start : start + size])
        self.seen[await answer] += 1
        writer.close()

    async def _whole(self, body: bytes, kind: str) -> None:
        reader, writer = await self._begin(kind, body)
        writer.write(body)
        self.seen[await self._status(reader)] += 1
        writer.close()

    async def _begin(self, kind: str, body: bytes) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        head = f"POST /embed HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\n\r\n"
        writer.write(head.encode())
        return reader, writer

    async def _status(self, reader: asyncio.StreamReader) -> int:
        head = await reader.readuntil(b"\r\n\r\n") if not reader.at_eof() else b""
        length = next(int(line[15:]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:"))
        await reader.readexactly(length)
        return int(head[9:12])

    async def _leave(self, writer: asyncio.StreamWriter) -> None:
        if self.random.random() < 0.5:
            writer.transport.abort()
        else:
            writer.close()


def metrics(port: int) -> dict[str, float]:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics") as reply:
        lines = [line for line in reply.read().decode().splitlines() if not line.startswith("#")]
    return {name: float(value) for name, value in (line.rsplit(" ", 1) for line in lines) if "_bucket" not in name}


def checks(soak: Soak, values: dict[str, float]) -> list[tuple[str, bool]]:
    """What must hold after the load, in words with numbers, and whether it does."""
    counted = {
        int(name.rsplit('status="', 1)[1][:-2]): int(value)
        for name, value in values.items()
        if name.startswith('lifted_requests_total{route="/embed"')
    }
    images = {
        name: int(values[f'lifted_images_total{{outcome="{name}"}}'])
        for name in ("admitted", "embedded", "failed", "dropped")
    }
    left = soak.sent["leaves early"] + soak.sent["leaves in the body"]
    total, sent = sum(counted.values()), sum(soak.sent.values())
    results = [
        (
            f"requests in flight: {values['lifted_requests_in_flight']:.0f} (that of /metrics itself)",
            values["lifted_requests_in_flight"] == 1,
        ),
        (f"images that wait: {values['lifted_queue_images']:.0f}", values["lifted_queue_images"] == 0),
        (f"images: {images}", images["admitted"] == images["embedded"] + images["failed"] + images["dropped"]),
        (
            f"requests counted: {total:,} of {sent:,} sent; {left:,} clients left, some before they were read",
            sent - left <= total <= sent,
        ),
    ]
    for status in sorted({*counted, *soak.seen} - {LEFT}):
        number, seen = counted.get(status, 0), soak.seen[status]
        results.append((f"status {status}: {number:,} counted, {seen:,} seen", seen <= number <= seen + left))
    results.append((f"status {LEFT}: {counted.get(LEFT, 0):,} counted", counted.get(LEFT, 0) <= left))
    return results


def sample(server: ServerProcess, name: str) -> None:
    descriptors = sum(1 for _ in Path(f"/proc/{server.process.pid}/fd").iterdir())
    print(f"{name}: {server.resident_mb():.0f} MB, {descriptors} open files", flush=True)


async def soak_and_sample(soak: Soak, server: ServerProcess, minutes: float) -> None:
    async def watch() -> None:
        for number in range(1, 10):
            await asyncio.sleep(6 * minutes)
            await asyncio.to_thread(sample, server, f"{number / 10:.0%}")

    await asyncio.gather(soak.run(), watch())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", type=Path)
    parser.add_argument("--minutes", type=float, default=10.0, help="(%(default)s)")
    parser.add_argument("--photos", type=Path, help="take JPEGs of this folder, made 128 px (smooth noise)")
    options = parser.parse_args()
    server = lifted_server(options.model)
    try:
        sample(server, "start")
        soak = Soak(server.port, jpegs(options.photos), time.monotonic() + 60 * options.minutes)
        asyncio.run(soak_and_sample(soak, server, options.minutes))
        time.sleep(15)  # for bodies that never arrived
        sample(server, "end")
        print(f"sent: {dict(soak.sent)}\nseen: {dict(sorted(soak.seen.items()))}")
        results = checks(soak, metrics(server.port))
    finally:
        status = server.end()
    results.append((f"exit status {status}", status == 143))
    print("\n".join(f"{'ok  ' if good else 'FAIL'} {text}" for text, good in results))
    raise SystemExit(not all(good for _, good in results))


if __name__ == "__main__":
    main()
