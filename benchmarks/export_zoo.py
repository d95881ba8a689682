"""The classification, segmentation and pose networks of GluonCV's and MXNet's zoos: parity and speed in ONNX.

    python benchmarks/export_zoo.py --work /tmp/zoo [--peer-python PATH] [--only resnet18_v1b,vgg16]

For each network, with random weights and statistics of batch norm: MXNet computes three images; our exporter
translates the two files that MXNet saved; onnxruntime must reproduce the outputs, for one image and for three, within
1e-5 of their largest. Where it does not, the table says how far MXNet is from itself without oneDNN. Then our file and
MXNet's own exporter's (mx2onnx), where that writes one, take turns in onnxruntime, with the same number of threads.

mx2onnx does not run with a current onnx; it has an environment of its own:

    python3.11 -m venv peer && peer/bin/pip install 'numpy<1.24' mxnet==1.9.1 onnx==1.14.1 'protobuf<4'

Each step of a network is a process of its own; nothing else runs during the timing. Started again, the command goes on
where it was. It writes results/export_zoo.md beside this file; a network that fails stands there with the reason.
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
IMAGES, TOLERANCE = 3, 1e-5
CHUNK = 8  # networks whose files lie on the disk at a time
ROUNDS, SECONDS = 3, 0.6  # of the timing: turns of each file, least time of a turn


def freeze(zoo: str, name: str, folder: Path) -> None:
    """In MXNet: the network's two files, images, and what it computes of them."""
    from gluon_lifted.mx import mx, nd

    rng = np.random.default_rng(0)
    mx.random.seed(0)
    network = build(zoo, name)
    network.initialize(mx.init.Xavier(rnd_type="gaussian", factor_type="in", magnitude=magnitude(name)))
    network.hybridize()
    images = rng.normal(size=(IMAGES, 3, side(name), side(name))).astype(np.float32)
    network(nd.array(images[:1]))  # shapes
    for parameter, one in network.collect_params(".*(gamma|beta|running_mean|running_var)").items():
        middle = float(parameter.endswith(("gamma", "running_var")))
        one.set_data(nd.array(rng.uniform(middle - 0.3, middle + 0.3, one.shape)))
    outputs = network(nd.array(images))
    outputs = outputs if isinstance(outputs, (list, tuple)) else [outputs]
    network.export(str(folder / "net"))
    arrays = {f"output{index}": one.asnumpy() for index, one in enumerate(outputs)}
    np.savez(folder / "computed.npz", images=images, **arrays)


def computed(folder: Path) -> tuple[np.ndarray, list[np.ndarray]]:
    with np.load(folder / "computed.npz") as found:
        return found["images"], [found[name] for name in found.files if name != "images"]


def worst(path: Path, folder: Path, threads: int) -> float:
    """Largest difference from MXNet's outputs, over their largest value, for one image and for several."""
    images, expected = computed(folder)
    session = load(path, threads)
    errors = []
    for batch in (images[:1], images):
        found = session.run(None, {session.get_inputs()[0].name: batch})
        for one, other in zip(found, expected, strict=True):
            errors.append(float(np.abs(one - other[: len(batch)]).max() / np.abs(other).max()))
    return max(errors)


def again(folder: Path) -> dict[str, Any]:
    """How far MXNet is from itself, computing once more without oneDNN: what rounding alone does to this network."""
    from gluon_lifted.mx import gluon, nd

    images, expected = computed(folder)
    block = gluon.SymbolBlock.imports(str(folder / "net-symbol.json"), ["data"], str(folder / "net-0000.params"))
    outputs = block(nd.array(images))
    outputs = outputs if isinstance(outputs, (list, tuple)) else [outputs]
    pairs = zip(outputs, expected, strict=True)
    return {"error": max(float(np.abs(one.asnumpy() - other).max() / np.abs(other).max()) for one, other in pairs)}


def load(path: Path, threads: int) -> Any:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.log_severity_level = threads, 4
    return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])


def try_to_load(path: Path, threads: int) -> Any:
    """A session, or why there is none."""
    try:
        return load(path, threads)
    except Exception as error:  # onnxruntime's exceptions share no base class
        return " ".join(str(error).split()).rpartition("failed:")[2][:300]


def ours(folder: Path, name: str, threads: int) -> dict[str, Any]:
    from export import export_network
    from gluon_lifted.contract import SavedNetwork

    network = SavedNetwork(folder / "net-symbol.json", folder / "net-0000.params")
    report = export_network(network, (3, side(name), side(name)), folder / "ours.onnx")
    error = worst(folder / "ours.onnx", folder, threads)
    return {"nodes": report.num_nodes, "seconds": report.seconds, "error": error}


def peer(folder: Path, name: str) -> dict[str, Any]:
    """MXNet's own exporter; runs in its own environment. Its weights are stored as bytes, which takes seconds."""
    np.bool = bool  # MXNet 1.9 uses the name, which NumPy 1.24 removed
    import mxnet
    from onnx import TensorProto, helper

    slow = helper.make_tensor  # a minute for the weights of ResNet-152, number by number

    def make_tensor(name: str, data_type: int, dims: Any, vals: Any, raw: bool = False) -> Any:
        if raw or data_type != TensorProto.FLOAT:
            return slow(name, data_type, dims, vals, raw)
        return slow(name, data_type, dims, np.asarray(vals, np.float32).tobytes(), raw=True)

    helper.make_tensor = make_tensor
    started = time.perf_counter()
    shape = [(batch_size(name), 3, side(name), side(name))]
    files = (str(folder / "net-symbol.json"), str(folder / "net-0000.params"))
    mxnet.onnx.export_model(*files, shape, np.float32, str(folder / "peer.onnx"), dynamic=True,
                            dynamic_input_shapes=[("N", *shape[0][1:])])  # fmt: skip
    return {"seconds": time.perf_counter() - started}


def speed(folder: Path, name: str, threads: int) -> dict[str, Any]:
    """Images per second of the files, in turns; medians of the turns."""
    size = batch_size(name)
    batch = np.random.default_rng(1).normal(size=(size, 3, side(name), side(name))).astype(np.float32)
    files = [path for path in (folder / "ours.onnx", folder / "peer.onnx") if path.exists()]
    loaded = {path.stem: try_to_load(path, threads) for path in files}
    sessions = {key: one for key, one in loaded.items() if not isinstance(one, str)}
    found: dict[str, Any] = {f"{key} failed": one for key, one in loaded.items() if isinstance(one, str)}
    rates: dict[str, list[float]] = {key: [] for key in sessions}
    for turn in range(ROUNDS + 1):  # the first warms up
        for key, session in sessions.items():
            feed = {session.get_inputs()[0].name: batch}
            count, started = 0, time.perf_counter()
            while count == 0 or time.perf_counter() - started < SECONDS * (turn > 0):
                session.run(None, feed)
                count += 1
            if turn:
                rates[key].append(count * size / (time.perf_counter() - started))
    found |= {key: statistics.median(values) for key, values in rates.items()}
    if "peer" in found:
        found["peer error"] = worst(folder / "peer.onnx", folder, threads)
    return found


STEPS: dict[str, Callable[[argparse.Namespace, str, str, Path], Any]] = {
    "freeze": lambda options, zoo, name, folder: freeze(zoo, name, folder),
    "ours": lambda options, zoo, name, folder: ours(folder, name, options.threads),
    "again": lambda options, zoo, name, folder: again(folder),
    "peer": lambda options, zoo, name, folder: peer(folder, name),
    "speed": lambda options, zoo, name, folder: speed(folder, name, options.threads),
}


def step(options: argparse.Namespace, kind: str, zoo: str, name: str, folder: Path) -> dict[str, Any]:
    """One step in its own process: what it found, or ``{"failed": reason}``."""
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
    """All steps of a network but the timing, unless an earlier run of this command has done them."""
    folder: Path = options.work / zoo / name
    if (folder / "result.json").exists() or (folder / "prepared.json").exists():
        return
    folder.mkdir(parents=True, exist_ok=True)
    found = {}
    for kind in ("freeze", "ours", "again", "peer"):
        if kind == "again" and found["ours"]["error"] <= TOLERANCE:
            continue
        if kind != "peer" or options.peer_python:
            found[kind] = step(options, kind, zoo, name, folder)
        if kind in ("freeze", "ours") and "failed" in found[kind]:
            break
    (folder / "prepared.json").write_text(json.dumps(found))


def measure(options: argparse.Namespace, zoo: str, name: str) -> dict[str, Any]:
    """What is known of a prepared network, after timing it; its large files are gone then."""
    folder: Path = options.work / zoo / name
    done = folder / "result.json"
    if not done.exists():
        found = json.loads((folder / "prepared.json").read_text())
        if "failed" not in found.get("ours", found["freeze"]):
            found["speed"] = step(options, "speed", zoo, name, folder)
        for path in folder.iterdir():
            path.unlink()
        done.write_text(json.dumps(found))
    return dict(json.loads(done.read_text()))


def row(zoo: str, name: str, found: dict[str, Any]) -> tuple[str, float | None]:
    """A line of the table, and how many times as fast ours is."""
    failed = next((found[kind]["failed"] for kind in ("freeze", "ours") if "failed" in found.get(kind, {})), None)
    if failed:
        return f"| {zoo} | {name} | - | - | - | - | - | - | {failed} |", None
    mine, rates, other = found["ours"], found["speed"], found.get("peer", {})
    ratio = rates["ours"] / rates["peer"] if "peer" in rates else None
    notes = []
    if mine["error"] > TOLERANCE:
        itself = found["again"].get("error")
        notes.append(f"MXNet without oneDNN is off by {itself:.1e}" if itself else f"off by more than {TOLERANCE:g}")
    if "failed" in other or "peer failed" in rates:
        notes.append(f"mx2onnx: {other.get('failed') or rates['peer failed']}")
    elif rates.get("peer error", 0) > TOLERANCE:
        notes.append(f"mx2onnx's file is off by {rates['peer error']:.1e}")
    cells = [
        *(zoo, name, mine["nodes"], f"{mine['error']:.1e}", f"{mine['seconds']:.2f}", f"{rates['ours']:.1f}"),
        *((f"{rates['peer']:.1f}", f"{ratio:.2f}") if ratio else ("-", "-")),
        "; ".join(notes).replace("|", "/"),
    ]
    return f"| {' | '.join(map(str, cells))} |", ratio


def report(options: argparse.Namespace, rows: list[tuple[str, float | None]]) -> str:
    import onnxruntime

    ratios = [ratio for _, ratio in rows if ratio]
    mean = math.exp(statistics.fmean(map(math.log, ratios))) if ratios else math.nan
    least = min(ratios, default=math.nan)
    heads = ["zoo", "network", "nodes", "max error", "export s", "ours images/s", "mx2onnx images/s", "ratio", "notes"]
    return "\n".join(
        [
            "# The model zoos in ONNX",
            "",
            f"Made by `python benchmarks/export_zoo.py`: onnxruntime {onnxruntime.__version__}, {options.threads} "
            f"threads, batches of {BATCH}, "
            "single images for segmentation. Errors are relative to the largest output.",
            "",
            f"{len(rows)} networks; {len(ratios)} beside mx2onnx: geometric mean of the ratios {mean:.2f}, "
            f"least {least:.2f}.",
            "",
            f"| {' | '.join(heads)} |",
            "|---" * len(heads) + "|",
            *(line for line, _ in rows),
            "",
        ]
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--work", type=Path, required=True, help="folder for results; started again, it goes on there")
    parser.add_argument("--peer-python", metavar="PATH", help="interpreter with MXNet and onnx 1.14; none: ours alone")
    parser.add_argument("--only", help="names, with commas between them (all)")
    parser.add_argument("--threads", type=int, default=2, help="of onnxruntime (%(default)s)")
    parser.add_argument("--jobs", type=int, default=2, help="networks that are translated at a time (%(default)s)")
    parser.add_argument("--step", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.step:
        kind, zoo, name, folder = json.loads(options.step)
        found = STEPS[kind](options, zoo, name, Path(folder))
        print(json.dumps(found))
        return
    wanted = options.only.split(",") if options.only else None
    chosen = [(zoo, name) for zoo, name in networks() if wanted is None or name in wanted]
    rows = []
    for start in range(0, len(chosen), CHUNK):
        chunk = chosen[start : start + CHUNK]
        with ThreadPoolExecutor(options.jobs) as pool:  # mx2onnx takes longest, on one core
            list(pool.map(lambda one: prepare(options, *one), chunk))
        for zoo, name in chunk:
            rows.append(row(zoo, name, measure(options, zoo, name)))
            print(rows[-1][0], flush=True)
    text = report(options, rows)
    if wanted is None:
        RESULTS.mkdir(exist_ok=True)
        (RESULTS / "export_zoo.md").write_text(text)
    print(text.split("| zoo")[0])


if __name__ == "__main__":
    main()
