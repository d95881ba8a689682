"""Measure memory and start-up time of `lifted embed` on lists of growing length that repeat the same images.

    python benchmarks/embed_scale.py MODEL.onnx PHOTOS [--rows 1000 10000 100000]

Memory is the peak that the process reports. Start-up is the time of an entire run with one image: Python, onnxruntime,
model, survey, one batch, files.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from itertools import islice
from pathlib import Path

from serve_cli.sources.resolve import open_source

IMAGES = 100  # distinct images of a list
STARTS = 5


def embed(model: Path, source: Path, out: Path) -> dict:
    command = [sys.executable, "-m", "serve_cli.cli.main", "embed", model, source, "--out", out, "--json"]
    run = subprocess.run(command, capture_output=True, text=True, check=True)
    return json.loads(run.stdout)


def start_up(model: Path, image: Path, folder: Path) -> float:
    """Measure the median time in seconds of a run with one image."""
    times = []
    for number in range(STARTS):
        began = time.perf_counter()
        embed(model, image, folder / f"start{number}")
        times.append(time.perf_counter() - began)
    return statistics.median(times)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", type=Path)
    parser.add_argument("photos", type=Path)
    parser.add_argument(
        "--rows", type=int, nargs="+", default=[1_000, 10_000, 100_000], help="images per list (%(default)s)"
    )
    options = parser.parse_args()
    paths = [str(row.path) for row in islice(open_source(options.photos), IMAGES)]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        print(f"entire run with one image: {start_up(options.model, Path(paths[0]), folder):.2f} s")
        print("| images | peak MB | images/s |\n|---|---|---|")
        for rows in options.rows:
            listed = folder / f"{rows}.txt"
            listed.write_text("\n".join(paths[number % len(paths)] for number in range(rows)))
            report = embed(options.model, listed, folder / str(rows))
            print(f"| {rows:,} | {report['peak_memory'] / 1e6:.0f} | {report['images_per_second']:.0f} |", flush=True)


if __name__ == "__main__":
    main()
