"""Images per second of `lifted embed`'s pipeline, from files to embeddings, and of other ways with the same model.

    python benchmarks/embed.py MODEL.onnx PHOTOS [--images 800]

Decoding and the network are measured alone first, each with all cores. Where both share the cores, no pipeline can do
better than 1 / (1 / decoding + 1 / network); the last column is the share of that. The loop beside ours is what
clip-retrieval and most scripts do: threads decode a batch, then the network computes it, then the next batch. A second
set of images is PHOTOS blown up to 1600 x 1200 px, as cameras make them.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from pathlib import Path

import numpy as np
from PIL import Image

from gluon_lifted.images import center_crop, read_image
from serve_cli.runtime.decoding import Decoding
from serve_cli.runtime.pipeline import embed_rows
from serve_cli.runtime.rows import ImageRow
from serve_cli.runtime.session import Embedder
from serve_cli.runtime.sources import open_source

ROUNDS, LARGE = 3, (1600, 1200)


def decode(embedder: Embedder, row: ImageRow) -> np.ndarray:
    preprocessing = embedder.card.preprocessing
    return center_crop(read_image(row.path, preprocessing), preprocessing.crop)


def decoding(embedder: Embedder, rows: list[ImageRow]) -> None:
    with ThreadPoolExecutor(embedder.threads) as pool:
        for _ in pool.map(lambda row: decode(embedder, row), rows):
            pass


def network(embedder: Embedder, rows: list[ImageRow]) -> None:
    crop = embedder.card.preprocessing.crop
    pixels = np.random.default_rng(0).integers(0, 256, (embedder.batch_size, crop, crop, 3), np.uint8)
    with ThreadPoolExecutor(embedder.lanes) as pool:
        list(pool.map(lambda _: embedder.embed(pixels), range(-(-len(rows) // len(pixels)))))


def ours(embedder: Embedder, rows: list[ImageRow]) -> None:
    for _ in embed_rows(embedder, rows, embedder.batch_size, Decoding(embedder.threads)):
        pass


def loop(embedder: Embedder, rows: list[ImageRow], size: int = 32) -> None:
    """No overlap; one batch on all cores."""
    with ThreadPoolExecutor(embedder.threads) as pool:
        remaining: Iterator[ImageRow] = iter(rows)
        while batch := list(islice(remaining, size)):
            embedder.embed(np.stack(list(pool.map(lambda row: decode(embedder, row), batch))))


def rates(model: Path, rows: list[ImageRow]) -> dict[str, float]:
    """Images per second, in turns; medians."""
    lanes, alone = Embedder(model), Embedder(model, sessions=1)
    ways: dict[str, Callable[[], None]] = {
        "decoding alone": lambda: decoding(lanes, rows),
        "network alone": lambda: network(lanes, rows),
        "lifted embed": lambda: ours(lanes, rows),
        "loop": lambda: loop(alone, rows),
    }
    found: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(ROUNDS):
        for name, way in ways.items():
            began = time.perf_counter()
            way()
            found[name].append(len(rows) / (time.perf_counter() - began))
    return {name: statistics.median(values) for name, values in found.items()}


def blown_up(rows: list[ImageRow], folder: Path) -> list[ImageRow]:
    found = []
    for row in rows:
        path = folder / f"{len(found)}.jpg"
        Image.open(row.path).convert("RGB").resize(LARGE).save(path, quality=90)
        found.append(ImageRow(path.name, path))
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", type=Path)
    parser.add_argument("photos", type=Path)
    parser.add_argument("--images", type=int, default=800, help="of each set (%(default)s)")
    options = parser.parse_args()
    rows = list(islice(open_source(options.photos), options.images))
    with tempfile.TemporaryDirectory() as folder:
        sets = {options.photos.name: rows, "{} x {} px".format(*LARGE): blown_up(rows, Path(folder))}
        print("| images | way | images/s | x loop | of the limit |\n|---|---|---|---|---|")
        for name, chosen in sets.items():
            found = rates(options.model, chosen)
            limit = 1 / (1 / found["decoding alone"] + 1 / found["network alone"])
            for way, rate in found.items():
                share = "-" if way.endswith("alone") else f"{rate / limit:.2f}"
                print(f"| {name} | {way} | {rate:.1f} | {rate / found['loop']:.2f} | {share} |", flush=True)


if __name__ == "__main__":
    main()
