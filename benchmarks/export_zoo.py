"""Measure parity and speed in ONNX of the zoos' classification, segmentation and pose networks, and of face networks.

    python benchmarks/export_zoo.py --work /tmp/zoo [--peer-python PATH] [--only resnet18_v1b,vgg16]

The zoos are GluonCV's and MXNet's. Weights and batch norm statistics are random. For each network MXNet computes three
images, our exporter translates the two files that MXNet saved, and onnxruntime must reproduce the outputs for one and
for three images, within 1e-5 of the largest. Otherwise the table has MXNet's own difference without oneDNN. Then our
file and that of MXNet's exporter (mx2onnx), if it writes one, take turns in onnxruntime with the same number of
threads.

mx2onnx does not run with a current onnx and needs an environment of its own:

    python3.11 -m venv peer && peer/bin/pip install 'numpy<1.24' mxnet==1.9.1 onnx==1.14.1 'protobuf<4'

Each step of a network is a process of its own, and nothing else runs during the timing. An interrupted command resumes
where it stopped. It writes results/export_zoo.json and export_zoo.md next to this file; `--only` replaces some of the
rows. Failed networks are listed with the reason.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import statistics
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from zoo_networks import BATCH, batch_size, build, magnitude, networks, side

if TYPE_CHECKING:
    from collections.abc import Callable

RESULTS = Path(__file__).parent / "results"
STORED = RESULTS / "export_zoo.json"  # rows of all networks; --only replaces some
IMAGES, TOLERANCE = 3, 1e-5
CHUNK = 8  # networks whose files are on disk at a time
ROUNDS, SECONDS = 3, 0.6  # of the timing: turns per file, minimum duration of a turn


def freeze(zoo: str, name: str, folder: Path) -> None:
    """Write the network's two files, images, and MXNet's outputs for them."""
    from gluon_lifted.mx import mx, nd

    rng = np.random.default_rng(0)
    mx.random.seed(0)
    network = build(zoo, name)
    network.initialize(mx.init.Xavier(rnd_type="gaussian", factor_type="in", magnitude=magnitude(name)))
    network.hybridize()
    images = rng.normal(size=(IMAGES, 3, side(name), side(name))).astype(np.float32)
    network(nd.array(images[:1]))  # shapes
    for parameter_name, parameter in network.collect_params(".*(gamma|beta|running_mean|running_var)").items():
        middle = float(parameter_name.endswith(("gamma", "running_var")))
        parameter.set_data(nd.array(rng.uniform(middle - 0.3, middle + 0.3, parameter.shape)))
    for parameter in network.collect_params(".*prelu.*").values():
        parameter.set_data(nd.array(rng.uniform(0.1, 0.4, parameter.shape)))
    outputs = network(nd.array(images))
    outputs = outputs if isinstance(outputs, (list, tuple)) else [outputs]
    network.export(str(folder / "net"))
    arrays = {f"output{index}": output.asnumpy() for index, output in enumerate(outputs)}
    np.savez(folder / "computed.npz", images=images, **arrays)


def computed(folder: Path) -> tuple[np.ndarray, list[np.ndarray]]:
    with np.load(folder / "computed.npz") as archive:
        return archive["images"], [archive[name] for name in archive.files if name != "images"]


def worst(path: Path, folder: Path, threads: int) -> float:
    """Return the largest difference from MXNet's outputs over their largest value, for one and for several images."""
    images, expected = computed(folder)
    session = load(path, threads)
    errors = []
    for batch in (images[:1], images):
        outputs = session.run(None, {session.get_inputs()[0].name: batch})
        for output, reference in zip(outputs, expected, strict=True):
            errors.append(float(np.abs(output - reference[: len(batch)]).max() / np.abs(reference).max()))
    return max(errors)


def again(folder: Path) -> dict[str, Any]:
    """Compute again in MXNet without oneDNN; return the difference, the effect of rounding alone."""
    from gluon_lifted.mx import gluon, nd

    images, expected = computed(folder)
    block = gluon.SymbolBlock.imports(str(folder / "net-symbol.json"), ["data"], str(folder / "net-0000.params"))
    outputs = block(nd.array(images))
    outputs = outputs if isinstance(outputs, (list, tuple)) else [outputs]
    pairs = zip(outputs, expected, strict=True)
    return {
        "error": max(float(np.abs(output.asnumpy() - first).max() / np.abs(first).max()) for output, first in pairs)
    }


def load(path: Path, threads: int) -> Any:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.log_severity_level = threads, 4
    return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])


def try_to_run(path: Path, threads: int, batch: np.ndarray) -> Any:
    """Return a session that runs, or the reason why there is none."""
    try:
        session = load(path, threads)
        session.run(None, {session.get_inputs()[0].name: batch})
        return session
    except Exception as error:  # onnxruntime's exceptions share no base class
        return " ".join(str(error).split()).rpartition("failed:")[2][:120]


def ours(folder: Path, name: str, threads: int) -> dict[str, Any]:
    from export import N, NetworkInputs, export_network
    from gluon_lifted.contract import SavedNetwork

    network = SavedNetwork(folder / "net-symbol.json", folder / "net-0000.params")
    report = export_network(network, NetworkInputs({"data": (N, 3, side(name), side(name))}), folder / "ours.onnx")
    error = worst(folder / "ours.onnx", folder, threads)
    return {"nodes": report.num_nodes, "seconds": report.seconds, "error": error}


def peer(folder: Path, name: str) -> dict[str, Any]:
    """Run MXNet's exporter, in its own environment. Weights are stored as bytes, which takes seconds."""
    np.bool = bool  # MXNet 1.9 uses the name, which NumPy 1.24 removed
    import mxnet
    from onnx import TensorProto, helper

    slow = helper.make_tensor  # a minute for the weights of ResNet-152, number by number

    def make_tensor(name: str, data_type: int, dims: Any, vals: Any, *, raw: bool = False) -> Any:
        if raw or data_type != TensorProto.FLOAT:
            return slow(name, data_type, dims, vals, raw=raw)
        return slow(name, data_type, dims, np.asarray(vals, np.float32).tobytes(), raw=True)

    helper.make_tensor = make_tensor
    started = time.perf_counter()
    shape = [(batch_size(name), 3, side(name), side(name))]
    files = (str(folder / "net-symbol.json"), str(folder / "net-0000.params"))
    mxnet.onnx.export_model(*files, shape, np.float32, str(folder / "peer.onnx"), dynamic=True,
                            dynamic_input_shapes=[("N", *shape[0][1:])])  # fmt: skip
    return {"seconds": time.perf_counter() - started}


def speed(folder: Path, name: str, threads: int) -> dict[str, Any]:
    """Return the median images per second of the files, which take turns."""
    size = batch_size(name)
    batch = np.random.default_rng(1).normal(size=(size, 3, side(name), side(name))).astype(np.float32)
    files = [path for path in (folder / "ours.onnx", folder / "peer.onnx") if path.exists()]
    loaded = {path.stem: try_to_run(path, threads, batch) for path in files}
    sessions = {key: session for key, session in loaded.items() if not isinstance(session, str)}
    results: dict[str, Any] = {f"{key} failed": reason for key, reason in loaded.items() if isinstance(reason, str)}
    rates: dict[str, list[float]] = {key: [] for key in sessions}
    for turn in range(ROUNDS + 1):  # the first turn warms up
        for key, session in sessions.items():
            feed = {session.get_inputs()[0].name: batch}
            count, started = 0, time.perf_counter()
            while count == 0 or time.perf_counter() - started < SECONDS * (turn > 0):
                session.run(None, feed)
                count += 1
            if turn:
                rates[key].append(count * size / (time.perf_counter() - started))
    results |= {key: statistics.median(values) for key, values in rates.items()}
    if "peer" in results:
        results["peer error"] = worst(folder / "peer.onnx", folder, threads)
    return results


STEPS: dict[str, Callable[[argparse.Namespace, str, str, Path], Any]] = {
    "freeze": lambda options, zoo, name, folder: freeze(zoo, name, folder),
    "ours": lambda options, zoo, name, folder: ours(folder, name, options.threads),
    "again": lambda options, zoo, name, folder: again(folder),
    "peer": lambda options, zoo, name, folder: peer(folder, name),
    "speed": lambda options, zoo, name, folder: speed(folder, name, options.threads),
}


def step(options: argparse.Namespace, kind: str, zoo: str, name: str, folder: Path) -> dict[str, Any]:
    """Run one step in its own process; return its result, or ``{"failed": reason}``."""
    python = options.peer_python if kind == "peer" else sys.executable
    command = [python, __file__, *sys.argv[1:], "--step", json.dumps([kind, zoo, name, str(folder)])]
    environment = {**os.environ, "OMP_NUM_THREADS": str(options.threads)}
    if kind == "again":
        environment["MXNET_MKLDNN_ENABLED"] = "0"
    if kind != "peer":
        environment["PYTHONPATH"] = str(Path(__file__).resolve().parents[1])
    run = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if run.returncode == 0:
        return dict(json.loads(run.stdout.splitlines()[-1]) or {})
    lines = [line for line in run.stderr.splitlines() if line.strip()] or [f"exit status {run.returncode}"]
    return {"failed": " ".join(lines[-1].split())[:300]}


def prepare(options: argparse.Namespace, zoo: str, name: str) -> None:
    """Run all steps of a network except the timing, unless an earlier run of this command did."""
    folder: Path = options.work / zoo / name
    if (folder / "result.json").exists() or (folder / "prepared.json").exists():
        return
    folder.mkdir(parents=True, exist_ok=True)
    results = {}
    for kind in ("freeze", "ours", "again", "peer"):
        if kind == "again" and results["ours"]["error"] <= TOLERANCE:
            continue
        if kind != "peer" or options.peer_python:
            results[kind] = step(options, kind, zoo, name, folder)
        if kind in ("freeze", "ours") and "failed" in results[kind]:
            break
    (folder / "prepared.json").write_text(json.dumps(results))


def measure(options: argparse.Namespace, zoo: str, name: str) -> dict[str, Any]:
    """Time a prepared network, delete its large files, and return all results."""
    folder: Path = options.work / zoo / name
    done = folder / "result.json"
    if not done.exists():
        results = json.loads((folder / "prepared.json").read_text())
        if "failed" not in results.get("ours", results["freeze"]):
            results["speed"] = step(options, "speed", zoo, name, folder)
        for path in folder.iterdir():
            path.unlink()
        done.write_text(json.dumps(results))
    return dict(json.loads(done.read_text()))


def facts(results: dict[str, Any]) -> dict[str, Any]:
    """Return what the table says of a network."""
    failed = next((results[kind]["failed"] for kind in ("freeze", "ours") if "failed" in results.get(kind, {})), None)
    if failed:
        return {"failed": failed}
    mine, rates, other = results["ours"], results["speed"], results.get("peer", {})
    notes = []
    if mine["error"] > TOLERANCE:
        itself = results["again"].get("error")
        notes.append(f"MXNet without oneDNN is off by {itself:.1e}" if itself else f"off by more than {TOLERANCE:g}")
    if "failed" in other or "peer failed" in rates:
        notes.append(f"mx2onnx: {other.get('failed') or rates['peer failed']}")
    elif rates.get("peer error", 0) > TOLERANCE:
        notes.append(f"mx2onnx's file is off by {rates['peer error']:.1e}")
    measured = {key: mine[key] for key in ("nodes", "error", "seconds")} | {"ours": rates["ours"]}
    beside = {"peer": rates["peer"], "ratio": rates["ours"] / rates["peer"]} if "peer" in rates else {}
    return measured | beside | ({"notes": "; ".join(notes)} if notes else {})


def line(name: str, row: dict[str, Any]) -> str:
    """Return a line of the table."""
    cells = [*name.split("/", 1)]
    if "failed" in row:
        cells += ["-"] * 6 + [row["failed"]]
    else:
        cells += [f"{row['nodes']}", f"{row['error']:.1e}", f"{row['seconds']:.2f}", f"{row['ours']:.1f}"]
        cells += [f"{row['peer']:.1f}", f"{row['ratio']:.2f}"] if "ratio" in row else ["-", "-"]
        cells.append(row.get("notes", ""))
    return f"| {' | '.join(cell.replace('|', '/') for cell in cells)} |"


def report(threads: int, rows: dict[str, dict[str, Any]]) -> str:
    import onnxruntime

    ratios = [row["ratio"] for row in rows.values() if "ratio" in row]
    mean = math.exp(statistics.fmean(map(math.log, ratios))) if ratios else math.nan
    least = min(ratios, default=math.nan)
    heads = ["zoo", "network", "nodes", "max error", "export s", "ours images/s", "mx2onnx images/s", "ratio", "notes"]
    return "\n".join(
        [
            "# The model zoos in ONNX",
            "",
            f"Written by `python benchmarks/export_zoo.py`: onnxruntime {onnxruntime.__version__}, {threads} "
            f"threads, batches of {BATCH}, single images for segmentation and detection. Errors are relative to the "
            "largest output.",
            "",
            f"{len(rows)} networks; {len(ratios)} beside mx2onnx: geometric mean of the ratios {mean:.2f}, "
            f"least {least:.2f}.",
            "",
            f"| {' | '.join(heads)} |",
            "|---" * len(heads) + "|",
            *(line(name, row) for name, row in rows.items()),
            "",
        ]
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--work", type=Path, required=True, help="folder for results; an interrupted command resumes there"
    )
    parser.add_argument(
        "--peer-python", metavar="PATH", help="interpreter with MXNet and onnx 1.14; without it, ours only"
    )
    parser.add_argument("--only", help="comma-separated names of networks (all)")
    parser.add_argument("--threads", type=int, default=2, help="threads of onnxruntime (%(default)s)")
    parser.add_argument("--jobs", type=int, default=2, help="networks to translate at a time (%(default)s)")
    parser.add_argument("--step", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.step:
        kind, zoo, name, folder = json.loads(options.step)
        print(json.dumps(STEPS[kind](options, zoo, name, Path(folder))))
        return
    wanted = options.only.split(",") if options.only else None
    chosen = [(zoo, name) for zoo, name in networks() if wanted is None or name in wanted]
    rows = json.loads(STORED.read_text()) if STORED.exists() else {}
    for start in range(0, len(chosen), CHUNK):
        chunk = chosen[start : start + CHUNK]
        with ThreadPoolExecutor(options.jobs) as pool:  # mx2onnx takes longest, on one core
            list(pool.map(lambda network: prepare(options, *network), chunk))
        for zoo, name in chunk:
            rows[f"{zoo}/{name}"] = facts(measure(options, zoo, name))
            print(line(f"{zoo}/{name}", rows[f"{zoo}/{name}"]), flush=True)
    text = report(options.threads, rows)
    RESULTS.mkdir(exist_ok=True)
    STORED.write_text(json.dumps(rows, indent=0) + "\n")
    (RESULTS / "export_zoo.md").write_text(text)
    print(text.split("| zoo")[0])


if __name__ == "__main__":
    main()
