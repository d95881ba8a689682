"""Memory and start-up of `lifted embed`: the same images over and over, in lists of growing length.

    python benchmarks/embed_scale.py MODEL.onnx PHOTOS [--rows 1000 10000 100000]

Memory is the largest that the process took, as it reports it. Start-up is the time of a run of one image, from the
command to its end: Python, onnxruntime, model, survey, one batch, files.
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

IMAGES = 100  # different ones in a list
STARTS = 5


def embed(model: Path, source: Path, out: Path) -> dict:
    command = [sys.executable, "-m", "serve_cli.cli.main", "embed", model, source, "--out", out, "--json"]
    run = subprocess.run(command, capture_output=True, text=True, check=True)
    return json.loads(run.stdout)


def start_up(model: Path, image: Path, folder: Path) -> float:
    """Seconds, the median."""
    found = []
    for number in range(STARTS):
        began = time.perf_counter()
        embed(model, image, folder / f"start{number}")
        found.append(time.perf_counter() - began)
    return statistics.median(found)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", type=Path)
    parser.add_argument("photos", type=Path)
    parser.add_argument("--rows", type=int, nargs="+", default=[1_000, 10_000, 100_000], help="%(default)s")
    options = parser.parse_args()
    paths = [str(row.path) for row in islice(open_source(options.photos), IMAGES)]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        print(f"from the command to its end with one image: {start_up(options.model, Path(paths[0]), folder):.2f} s")
        print("| images | peak MB | images/s |\n|---|---|---|")
        for rows in options.rows:
            listed = folder / f"{rows}.txt"
            listed.write_text("\n".join(paths[number % len(paths)] for number in range(rows)))
            found = embed(options.model, listed, folder / str(rows))
            print(f"| {rows:,} | {found['peak_memory'] / 1e6:.0f} | {found['images_per_second']:.0f} |", flush=True)


if __name__ == "__main__":
    main()
