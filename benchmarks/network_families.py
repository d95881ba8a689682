"""Export networks of every family with random weights, and compare them with MXNet.

    python benchmarks/network_families.py --work /tmp/families [--only ssd_512,arcface]

Each network is built, saved by MXNet, run by MXNet on a few random inputs, exported with the command line's functions
and compared: it works if onnxruntime reproduces the outputs at several batch sizes. Otherwise the table has the reason
that the exporter gave. Networks are computed at small sizes, which change nothing in their operators. Each is a process
of its own. An interrupted command resumes where it stopped. It writes results/network_families.md next to this file.

`export_zoo.py` does the same for all 161 classification networks of both zoos, and measures their speed.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from family_networks import FAMILIES, SavedCase

if TYPE_CHECKING:
    from collections.abc import Iterable

RESULTS = Path(__file__).parent / "results"
TOLERANCE = 1e-4  # of the largest output
HEADS = ("family", "network", "inputs", "works", "max error", "seconds")


def measure(case: SavedCase, folder: Path) -> dict[str, Any]:
    """Export a network and compare it with MXNet; return the error over the largest output, or the reason."""
    from export import export_network, read_reference
    from gluon_lifted.errors import LiftedError
    from gluon_lifted.networks.random_inputs import random_inputs
    from gluon_lifted.networks.reference import write_reference

    inputs = case.inputs
    feeds = random_inputs(case.network, inputs.fixed(), inputs.dtypes)
    write_reference(case.network, feeds, folder / "reference.npz", batch_axes=inputs.batch_axes())
    shapes = ", ".join(str(shape) for shape in inputs.shapes.values())
    try:
        report = export_network(case.network, inputs, folder / "net.onnx", reference=folder / "reference.npz")
    except LiftedError as error:
        return {"inputs": shapes, "refused": str(error).replace(str(case.network.symbol), "the symbol")[:300]}
    largest = max(float(np.abs(output).max()) for output in read_reference(folder / "reference.npz").outputs.values())
    assert report.parity is not None
    return {
        "inputs": shapes,
        "error": report.parity.max_abs_error / largest,
        "seconds": report.seconds,
        "fixed": report.fixed_batch,
    }


def one(family: str, name: str) -> dict[str, Any]:
    """Build and measure one network in this process."""
    with tempfile.TemporaryDirectory() as folder:
        return measure(FAMILIES[family][name](Path(folder)), Path(folder))


def step(family: str, name: str) -> dict[str, Any]:
    """Run `one` in a process of its own."""
    root = str(Path(__file__).resolve().parents[1])
    command = [sys.executable, __file__, "--one", json.dumps([family, name])]
    run = subprocess.run(command, env={**os.environ, "PYTHONPATH": root}, capture_output=True, text=True, check=False)
    if run.returncode == 0:
        return dict(json.loads(run.stdout.splitlines()[-1]))
    lines = [line for line in run.stderr.splitlines() if line.strip()] or [f"exit status {run.returncode}"]
    return {"inputs": "", "refused": f"MXNet: {' '.join(lines[-1].split())[:300]}"}


def line(family: str, name: str, result: dict[str, Any]) -> str:
    if "refused" in result:
        cells = [family, name, result["inputs"], f"no: {result['refused']}", "", ""]
    else:
        works = f"batch fixed at {result['fixed'].partition(',')[0]}" if result["fixed"] else "yes"
        works += f", off by more than {TOLERANCE:g}" if result["error"] > TOLERANCE else ""
        cells = [family, name, result["inputs"], works, f"{result['error']:.1e}", f"{result['seconds']:.1f}"]
    return f"| {' | '.join(cell.replace('|', '/') for cell in cells)} |"


def summary(results: Iterable[tuple[str, str, dict[str, Any]]]) -> list[str]:
    """Return a line per family: how many of its networks work, and which do not."""
    families: dict[str, list[tuple[str, dict[str, Any]]]] = defaultdict(list)
    for family, name, result in results:
        families[family].append((name, result))
    lines = ["| family | works | does not |", "|---|---|---|"]
    for family, networks in families.items():
        refused = [name for name, result in networks if "refused" in result]
        lines.append(f"| {family} | {len(networks) - len(refused)} of {len(networks)} | {', '.join(refused)} |")
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--work", type=Path, help="folder for results; an interrupted command resumes there")
    parser.add_argument("--only", help="comma-separated parts of names of networks (all)")
    parser.add_argument("--one", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        print(json.dumps(one(*json.loads(options.one))))
        return
    if options.work is None:
        parser.error("--work is missing")
    parts = options.only.split(",") if options.only else [""]
    results = []
    for family, networks in FAMILIES.items():
        for name in (name for name in networks if any(part in name for part in parts)):
            done = options.work / family / f"{name}.json"
            if not done.exists():
                done.parent.mkdir(parents=True, exist_ok=True)
                done.write_text(json.dumps(step(family, name)))
            results.append((family, name, json.loads(done.read_text())))
            print(line(*results[-1]), flush=True)
    text = "\n".join(
        [
            "# Networks by family",
            "",
            "Written by `python benchmarks/network_families.py`: random weights, outputs compared with MXNet at several"
            " batch sizes. Errors are relative to the largest output.",
            "",
            *summary(results),
            "",
            f"| {' | '.join(HEADS)} |",
            "|---" * len(HEADS) + "|",
            *(line(*result) for result in results),
            "",
        ]
    )
    if options.only is None:
        RESULTS.mkdir(exist_ok=True)
        (RESULTS / "network_families.md").write_text(text)
    print("\n".join(summary(results)))


if __name__ == "__main__":
    main()
