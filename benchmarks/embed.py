"""Measure images per second of `lifted embed`'s pipeline, from files to embeddings, and of alternatives.

    python benchmarks/embed.py MODEL.onnx PHOTOS [--images 800] [--fastembed-python ENVIRONMENT/bin/python]

Decoding and the network are first measured alone, each with all cores. If both share the cores, no pipeline exceeds
1 / (1 / decoding + 1 / network); the last column is the share of that limit. The alternative loop is what
clip-retrieval and most scripts do: threads decode a batch, then the network computes it, then the next batch. It runs
with our decoding and with Pillow's at full size. fastembed runs in an environment of its own, in one process and in
one per core. A second set of images is PHOTOS enlarged to 1600 x 1200 px, as cameras make them. All alternatives use
the same model and must agree on the embeddings.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from gluon_lifted.images import center_crop, read_image
from serve_cli.embed.decoding import Decoding
from serve_cli.embed.embed_rows import collect, embed_rows
from serve_cli.model.embedder import Embedder
from serve_cli.model.model_options import ModelOptions
from serve_cli.sources.image_row import ImageRow
from serve_cli.sources.resolve import open_source

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ROUNDS, LARGE = 3, (1600, 1200)
LOOP_BATCH = 32
MIN_MEAN_COSINE = 0.98  # reduced JPEG decoding and int8 change embeddings a little

Measurement = tuple[float, np.ndarray | None]  # images per second; embeddings (n, D)


def reduced(embedder: Embedder, row: ImageRow) -> np.ndarray:
    preprocessing = embedder.card.preprocessing
    return center_crop(read_image(row.path, preprocessing), preprocessing.crop)


def full(embedder: Embedder, row: ImageRow) -> np.ndarray:
    side = embedder.card.preprocessing.resize
    square = Image.open(row.path).convert("RGB").resize((side, side), Image.Resampling.BILINEAR)
    return center_crop(np.asarray(square), embedder.card.preprocessing.crop)


def timed(work: Callable[[], np.ndarray | None], rows: list[ImageRow]) -> Measurement:
    began = time.perf_counter()
    result = work()
    return len(rows) / (time.perf_counter() - began), result


def decoding(embedder: Embedder, rows: list[ImageRow]) -> None:
    with ThreadPoolExecutor(embedder.threads) as pool:
        for _ in pool.map(partial(reduced, embedder), rows):
            pass


def network(embedder: Embedder, rows: list[ImageRow]) -> None:
    crop = embedder.card.preprocessing.crop
    pixels = np.random.default_rng(0).integers(0, 256, (embedder.batch_size, crop, crop, 3), np.uint8)
    with ThreadPoolExecutor(embedder.lanes) as pool:
        list(pool.map(lambda _: embedder.embed(pixels), range(-(-len(rows) // len(pixels)))))


def ours(embedder: Embedder, rows: list[ImageRow]) -> np.ndarray:
    batches = embed_rows(embedder, rows, embedder.batch_size, Decoding(embedder.threads))
    return collect(batches, embedder.card.dim).embedding


def loop(embedder: Embedder, decode: Callable[..., np.ndarray], rows: list[ImageRow]) -> np.ndarray:
    """Decode and embed without overlap, each batch on all cores."""
    embeddings = []
    with ThreadPoolExecutor(embedder.threads) as pool:
        remaining: Iterator[ImageRow] = iter(rows)
        while batch := list(islice(remaining, LOOP_BATCH)):
            embeddings.append(embedder.embed(np.stack(list(pool.map(partial(decode, embedder), batch)))))
    return np.concatenate(embeddings)


def fastembed(python: Path, embedder: Embedder, parallel: int | None, rows: list[ImageRow]) -> Measurement:
    preprocessing = embedder.card.preprocessing
    with tempfile.TemporaryDirectory() as folder:
        job, out = Path(folder, "job.json"), Path(folder, "rows.npy")
        settings = {name: getattr(preprocessing, name) for name in ("resize", "crop", "mean", "std")}
        paths = [str(row.path) for row in rows]
        job.write_text(
            json.dumps({"paths": paths, "preprocessing": settings, "batch": 16, "parallel": parallel, "out": str(out)})
        )
        worker = Path(__file__).with_name("fastembed_worker.py")
        run = subprocess.run([python, worker, embedder.model, job], capture_output=True, text=True, check=True)
        return json.loads(run.stdout.splitlines()[-1])["images_per_second"], np.load(out)


def ways(model: Path, python: Path | None, rows: list[ImageRow]) -> dict[str, Callable[[], Measurement]]:
    lanes, alone = Embedder(model), Embedder(model, ModelOptions(sessions=1))
    runners: dict[str, Callable[[], Measurement]] = {
        "decoding alone": lambda: timed(lambda: decoding(lanes, rows), rows),
        "network alone": lambda: timed(lambda: network(lanes, rows), rows),
        "lifted embed": lambda: timed(lambda: ours(lanes, rows), rows),
        "loop, our decoding": lambda: timed(lambda: loop(alone, reduced, rows), rows),
        "loop": lambda: timed(lambda: loop(alone, full, rows), rows),
    }
    if python is not None:
        runners["fastembed"] = lambda: fastembed(python, lanes, None, rows)
        runners["fastembed, a process a core"] = lambda: fastembed(python, lanes, lanes.threads, rows)
    return runners


def rates(model: Path, python: Path | None, rows: list[ImageRow]) -> dict[str, float]:
    """Return median images per second; the alternatives take turns."""
    runners = ways(model, python, rows)
    measured: dict[str, list[float]] = {name: [] for name in runners}
    embeddings: dict[str, np.ndarray] = {}
    for _ in range(ROUNDS):
        for name, run in runners.items():
            rate, embedding = run()
            measured[name].append(rate)
            if embedding is not None:
                embeddings[name] = embedding
    for name, embedding in embeddings.items():
        require_agreement(name, embedding, embeddings["lifted embed"])
    return {name: statistics.median(values) for name, values in measured.items()}


def require_agreement(name: str, embedding: np.ndarray, expected: np.ndarray) -> None:
    norms = np.linalg.norm(embedding, axis=1) * np.linalg.norm(expected, axis=1)
    cosine = ((embedding * expected).sum(axis=1) / norms).mean()
    if cosine < MIN_MEAN_COSINE:
        raise SystemExit(f"{name}: mean cosine to ours {cosine:.4f}; expected {MIN_MEAN_COSINE} or more.")


def enlarged(rows: list[ImageRow], folder: Path) -> list[ImageRow]:
    large: list[ImageRow] = []
    for row in rows:
        path = folder / f"{len(large)}.jpg"
        Image.open(row.path).convert("RGB").resize(LARGE).save(path, quality=90)
        large.append(ImageRow(path.name, path))
    return large


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", type=Path)
    parser.add_argument("photos", type=Path)
    parser.add_argument("--images", type=int, default=800, help="images per set (%(default)s)")
    parser.add_argument("--fastembed-python", type=Path, help="interpreter with fastembed")
    options = parser.parse_args()
    rows = list(islice(open_source(options.photos), options.images))
    with tempfile.TemporaryDirectory() as folder:
        sets = {options.photos.name: rows, "{} x {} px".format(*LARGE): enlarged(rows, Path(folder))}
        print("| images | way | images/s | ours over it | of the limit |\n|---|---|---|---|---|")
        for name, chosen in sets.items():
            measured = rates(options.model, options.fastembed_python, chosen)
            limit = 1 / (1 / measured["decoding alone"] + 1 / measured["network alone"])
            for way, rate in measured.items():
                shares = (
                    ("-", "-")
                    if way.endswith("alone")
                    else (f"{measured['lifted embed'] / rate:.2f}", f"{rate / limit:.2f}")
                )
                print(f"| {name} | {way} | {rate:.1f} | {' | '.join(shares)} |", flush=True)


if __name__ == "__main__":
    main()
