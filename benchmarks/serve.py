"""Measure `lifted serve` beside LitServe, a plain Starlette handler, and the bare model.

    python benchmarks/serve.py MODEL [--photos FOLDER] [--litserve PYTHON] [--seconds 5] [--turns 3]

Clients post JPEGs of 128 px from the same host. The load tool is wrk if it is installed, else an asyncio client. All
servers are started; they take turns, and while one is measured the others are stopped (SIGSTOP). Medians count.
CPU time is that of all processes of a server; of their memory, what they can share counts once.

LitServe is no dependency: PYTHON is the interpreter of an environment with litserve, onnxruntime, pillow and numpy.
LitServe takes JSON, so its images are base64.
"""

from __future__ import annotations

import argparse
import base64
import io
import json
import statistics
import sys
import time
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from PIL import Image
from serve_load import WRK, closed_load, open_load
from serve_processes import ServerProcess, free_port, lifted_server

from gluon_lifted.images import center_crop, read_image
from serve_cli.model.embedder import Embedder
from serve_cli.model.model_options import ModelOptions

if TYPE_CHECKING:
    from collections.abc import Callable

    from gluon_lifted.card import ModelCard

SIDE, IMAGES, QUALITY = 128, 64, 90
CLIENTS, OVERLOAD, MAX_WAITING = (1, 16), 3, 128
JPEG, JSON = "image/jpeg", "application/json"
HEAD = "| server | clients | requests/s | p50 ms | p99 ms | CPU-ms | MB | errors |"


class Way(NamedTuple):
    """A server, and the path, bodies and content type of its requests."""

    name: str
    server: ServerProcess
    path: str
    bodies: list[bytes]
    kind: str


class Figures(NamedTuple):
    """What one turn measured at a number of clients."""

    rate: float
    p50_ms: float
    p99_ms: float
    cpu_ms: float
    errors: int


def jpegs(folder: Path | None) -> list[bytes]:
    """Return JPEGs of 128 px: of photographs, or of smooth noise."""
    random, contents = np.random.default_rng(0), []
    paths = sorted(folder.rglob("*.jpg"))[:IMAGES] if folder else [None] * IMAGES
    for path in paths:
        image = Image.open(path) if path else Image.fromarray(random.integers(0, 256, (16, 16, 3), np.uint8))
        file = io.BytesIO()
        image.convert("RGB").resize((SIDE, SIDE), Image.Resampling.BICUBIC).save(file, "JPEG", quality=QUALITY)
        contents.append(file.getvalue())
    return contents


def bare(model: Path, contents: list[bytes], seconds: float) -> tuple[list[str], float, float]:
    """Measure the model without a server: lines to print, ms of a direct call, and CPU-ms that no server can avoid."""
    with Embedder(model, ModelOptions(threads=1)) as embedder:
        preprocessing = embedder.card.preprocessing

        def decode(content: bytes) -> np.ndarray:
            return center_crop(read_image(content, preprocessing, None, "image"), preprocessing.crop)

        pixels = np.stack([decode(content) for content in contents[:16]])
        decoding = repeated(lambda: [decode(content) for content in contents], seconds)
        one = repeated(lambda: embedder.embed(pixels[:1]), seconds)
        many = repeated(lambda: embedder.embed(pixels), seconds)
    with Embedder(model) as embedder:
        direct, lanes = repeated(lambda: embedder.embed(decode(contents[0])[None]), seconds), embedder.lanes
        with ThreadPoolExecutor(lanes) as pool:
            both = repeated(lambda: list(pool.map(embedder.embed, [pixels] * lanes)), seconds)
        size = embedder.batch_size
    number = len(contents)
    lines = [
        f"| decode | {decoding[0] / number:.2f} | {decoding[1] / number:.2f} |",
        f"| network, batch 1 | {one[0]:.2f} | {one[1]:.2f} |",
        f"| network, batch 16 | {many[0] / 16:.2f} | {many[1] / 16:.2f} |",
        f"| network, {lanes} lanes of batch 16 | {both[0] / 16 / lanes:.2f} | {both[1] / 16 / lanes:.2f} |",
        f"| direct call: decode and batch 1 | {direct[0]:.2f} | {direct[1]:.2f} |",
    ]
    print(f"largest batch of the server: {size}", flush=True)
    return lines, direct[0], decoding[1] / number + many[1] / 16


def repeated(step: Callable[[], object], seconds: float) -> tuple[float, float]:
    """Return the median wall ms of a step and its mean CPU ms."""
    step()
    times, began, cpu = [], time.perf_counter(), time.process_time()
    while time.perf_counter() - began < seconds:
        started = time.perf_counter()
        step()
        times.append(1e3 * (time.perf_counter() - started))
    return statistics.median(times), 1e3 * (time.process_time() - cpu) / len(times)


def start(ways: list[Way], options: argparse.Namespace, contents: list[bytes], card: ModelCard) -> None:
    """Add the servers to ``ways``, one after the other."""
    ours = lifted_server(options.model, "--max-waiting", str(MAX_WAITING))
    ways.append(Way("lifted serve", ours, "/embed", contents, JPEG))
    texts = [json.dumps({"image": base64.b64encode(content).decode()}).encode() for content in contents]
    preprocessing = json.dumps({name: getattr(card.preprocessing, name) for name in ("resize", "crop", "mean", "std")})
    peers = [("plain Starlette", "starlette"), ("plain Starlette, batches of 4 ms", "starlette-window")]
    peers += [("LitServe", "litserve"), ("LitServe, batches of 4 ms", "litserve-batches")] if options.litserve else []
    for name, way in peers:
        ways[-1].server.hold()
        lit, port = way.startswith("litserve"), free_port()
        python = str(options.litserve) if lit else sys.executable
        script = str(Path(__file__).with_name("serve_litserve.py" if lit else "serve_peers.py"))
        command = [python, script, way, str(options.model), str(port), preprocessing]
        server = ServerProcess.start(command, port, "/health" if lit else "/embed")
        path, bodies, kind = ("/predict", texts, JSON) if lit else ("/embed", contents, JPEG)
        ways.append(Way(name, server, path, bodies, kind))
    ways[-1].server.hold()


def turn(way: Way, clients: int, seconds: float) -> Figures:
    way.server.resume()
    closed_load(way.server.port, way.path, way.bodies, way.kind, clients, 1)
    before = way.server.cpu_ms()
    load = closed_load(way.server.port, way.path, way.bodies, way.kind, clients, seconds)
    used = way.server.cpu_ms() - before
    way.server.hold()
    return Figures(load.rate, load.p50_ms, load.p99_ms, used / max(load.requests, 1), load.errors)


def line(way: Way, clients: int, turns: list[Figures]) -> str:
    rate, p50, p99, cpu = (statistics.median(figures[number] for figures in turns) for number in range(4))
    errors = sum(figures.errors for figures in turns)
    memory = way.server.resident_mb()
    return f"| {way.name} | {clients} | {rate:.0f} | {p50:.1f} | {p99:.1f} | {cpu:.2f} | {memory:.0f} | {errors} |"


def mean_batch(way: Way, clients: int, seconds: float) -> float:
    """Load the server once more, and return the mean images of a batch from its metrics."""
    way.server.resume()
    before = batches(way.server.port)
    closed_load(way.server.port, way.path, way.bodies, way.kind, clients, seconds)
    after = batches(way.server.port)
    way.server.hold()
    return (after[0] - before[0]) / max(after[1] - before[1], 1)


def batches(port: int) -> tuple[float, float]:
    """Return how many images and batches there were so far."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics") as reply:
        lines = dict(line.rsplit(" ", 1) for line in reply.read().decode().splitlines() if line[0] != "#")
    return float(lines["lifted_batch_images_sum"]), float(lines["lifted_batch_images_count"])


def overload(way: Way, capacity: float, seconds: float) -> list[str]:
    """Send three times what the server can do, and print what became of it."""
    way.server.resume()
    answers = open_load(way.server.port, way.path, way.bodies, way.kind, OVERLOAD * capacity, seconds)
    way.server.hold()
    statuses, accepted = answers.statuses(), answers.statuses()[200] / answers.seconds
    bound = 1e3 * MAX_WAITING / accepted
    sent = sum(statuses.values()) / answers.seconds
    return [
        f"{OVERLOAD}x overload: {sent:.0f} requests/s sent, {accepted:.0f} accepted",
        f"statuses (0: broken connection): {dict(sorted(statuses.items()))}",
        f"accepted p50 {answers.percentile(200, 50):.0f} ms, p99 {answers.percentile(200, 99):.0f} ms; "
        f"the bound, a full queue of {MAX_WAITING} at this rate: {bound:.0f} ms",
        f"refused p50 {answers.percentile(429, 50):.1f} ms, p99 {answers.percentile(429, 99):.1f} ms",
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", type=Path, help="ONNX file with a card, such as that of `lifted demo`")
    parser.add_argument("--photos", type=Path, help="take JPEGs of this folder, made 128 px (smooth noise)")
    parser.add_argument("--litserve", type=Path, help="Python of an environment with LitServe (left out)")
    parser.add_argument("--seconds", type=float, default=5.0, help="of each measurement (%(default)s)")
    parser.add_argument("--turns", type=int, default=3, help="(%(default)s)")
    options = parser.parse_args()
    contents = jpegs(options.photos)
    with Embedder(options.model, ModelOptions(threads=1)) as embedder:
        card = embedder.card
    print(f"client: {'wrk, 1 thread' if WRK else 'asyncio'}; images: {statistics.mean(map(len, contents)):.0f} bytes")
    lines, direct_ms, least_cpu_ms = bare(options.model, contents, options.seconds / 2)
    print("\n".join(["| bare model, per image | ms | CPU-ms |", "|---|---|---|", *lines, ""]), flush=True)
    ways: list[Way] = []
    figures: dict[tuple[str, int], list[Figures]] = {}
    try:
        start(ways, options, contents, card)
        for _ in range(options.turns):
            for way in ways:
                for clients in CLIENTS:
                    figures.setdefault((way.name, clients), []).append(turn(way, clients, options.seconds))
        print(f"{HEAD}\n{'|---' * HEAD.count(' | ')}|---|")
        print("\n".join(line(way, clients, figures[way.name, clients]) for way in ways for clients in CLIENTS), "\n")
        ours, busy = (figures[ways[0].name, clients] for clients in CLIENTS)
        ratio = statistics.median(figures.p50_ms for figures in ours) / direct_ms
        rate, cpu = (statistics.median(getattr(turn, name) for turn in busy) for name in ("rate", "cpu_ms"))
        print(f"one client: p50 is {ratio:.2f} x the direct call")
        print(f"16 clients: {cpu:.2f} CPU-ms a request; decoding and the network alone take {least_cpu_ms:.2f}")
        print(f"a batch has {mean_batch(ways[0], CLIENTS[-1], options.seconds):.1f} images on average")
        print("\n".join(overload(ways[0], rate, 2 * options.seconds)))
    finally:
        for way in ways:
            way.server.end()


if __name__ == "__main__":
    main()
