"""Measure images per second of the trained network on a CPU: our files in onnxruntime, and alternatives.

    python benchmarks/inference.py --work WORK [--peer-python PATH] [--torch-python PATH] [--openvino-python PATH]

`googlenet` is Szegedy et al.'s network with local response normalization, `googlenet_bn` GluonCV's with batch norm,
both with an embedding layer, at 224 x 224 px. Each alternative runs in a process of its own, with its
fastest batch size and, in onnxruntime, its fastest split of threads. They take turns. OpenVINO is measured twice:
behind onnxruntime, as with `--device openvino`, and by itself, set for throughput. By default it computes in bfloat16
if the processor supports it.

The run fails if the embeddings differ. The limit is the floating-point operations of convolutions and matrix products
over the rate of a large product of matrices, NumPy's in single precision and onnxruntime's in int8, in the same run.
For our file, the time share of local response normalization is printed, including its changes of layout.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from importlib import util
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from inference_ways import PRODUCT, PRODUCTS, WAYS
from training_step import CROP, drawn
from worker import Worker, answer, timed

if TYPE_CHECKING:
    from collections.abc import Callable

BACKBONES = ("googlenet", "googlenet_bn")
BATCHES, PROBE_S, ROUNDS = (1, 2, 4, 8, 16, 32), 0.7, 4
DIM, CALIBRATION = 64, 100
RESULTS = Path(__file__).parent / "results"


def images(count: int) -> np.ndarray:
    """Draw normalized images (count, 3, 224, 224) that resemble photographs: smooth, with edges."""
    rng = np.random.default_rng(0)
    coarse = rng.normal(size=(count, 3, CROP // 16, CROP // 16)).repeat(16, 2).repeat(16, 3)
    return (coarse + 0.2 * rng.normal(size=(count, 3, CROP, CROP))).astype(np.float32)


def prepare(backbone: str, folder: Path, peer_python: str | None) -> None:
    """Freeze the network in MXNet and write all files derived from it."""
    from onnx import load, save

    from export import ExportOptions, N, NetworkInputs, export_network
    from export.quantization.amx_weights import offset_weights
    from export.quantization.quantize import QUANTIZED, quantize, sensitive_nodes
    from export.quantization.ranges import activation_ranges
    from gluon_lifted.contract import SavedNetwork
    from gluon_lifted.mx import nd
    from gluon_lifted.networks.backbones import backbone_initializer, build_backbone
    from gluon_lifted.networks.embedding_net import EmbeddingNet

    folder.mkdir(parents=True, exist_ok=True)
    net = EmbeddingNet(build_backbone(backbone, CROP), DIM)
    net.initialize(backbone_initializer())
    net.hybridize()
    net(nd.zeros((1, 3, CROP, CROP)))
    matrices = [parameter for parameter in net.collect_params().values() if len(parameter.shape) > 1]
    for index, parameter in enumerate(matrices):
        parameter.set_data(nd.array(drawn(index, parameter.shape)))
    net.export(str(folder / "net"))
    files = SavedNetwork(folder / "net-symbol.json", folder / "net-0000.params")
    inputs = NetworkInputs({"data": (N, 3, CROP, CROP)})
    export_network(files, inputs, folder / "ours.onnx")
    export_network(files, inputs, folder / "lrn.onnx", ExportOptions(plain_operators=True))
    single = load(folder / "ours.onnx")
    batches = np.split(images(CALIBRATION), CALIBRATION // 10)
    save(quantize(single, activation_ranges(single, batches, QUANTIZED), sensitive_nodes(single)), folder / "dots.onnx")
    offset_weights(folder / "dots.onnx", folder / "tiles.onnx")
    if peer_python:
        script = (
            "import sys; from pathlib import Path; from export_zoo import peer; peer(Path(sys.argv[1]), 'googlenet')"
        )
        subprocess.run([peer_python, "-c", script, str(folder)], cwd=Path(__file__).parent, check=True)


def python_of(way: str, options: argparse.Namespace) -> str:
    pythons = {"torch": options.torch_python, "OpenVINO": options.openvino_python}
    return next((path for name, path in pythons.items() if name in way), sys.executable)


def lanes(split: str) -> int:
    """Return the number of concurrent batches of a split: 2 for ``"2 x 1"`` and ``"2 requests"``."""
    return int(split.split(maxsplit=1)[0])


def seconds_an_image(run: Callable[[np.ndarray], np.ndarray], count: int) -> float:
    batch = images(count)
    run(batch)
    return min(timed(lambda: run(batch), PROBE_S, 2)) / count


def work(way: str, backbone: str, options: argparse.Namespace) -> None:
    """Run a worker: try batch sizes and splits, then run the fastest for a round on each request."""

    def start() -> Callable[[], dict[str, Any]]:
        if way in PRODUCTS:
            product = PRODUCTS[way](options.threads)
            product()
            return lambda: {"times": timed(product, options.seconds)}
        tried = [
            (seconds_an_image(run, size * lanes(split)), size, split, run)
            for split, run in WAYS[way](backbone, options.work / backbone, options.threads).items()
            for size in BATCHES
        ]
        _, size, split, run = min(tried, key=lambda attempt: attempt[0])
        batch = images(size * lanes(split))
        known = {"batch": size, "split": split, "embedding": run(images(8)).tolist()}
        return lambda: {"times": [t / len(batch) for t in timed(lambda: run(batch), options.seconds)], **known}

    answer(start)


def measure(backbone: str, options: argparse.Namespace) -> dict[str, Worker]:
    ways = [way for way in (*WAYS, *PRODUCTS) if backbone == "googlenet" or "LRN" not in way]
    workers: dict[str, Worker] = {}
    for way in ways:
        arguments = [*sys.argv[1:], "--worker", json.dumps([way, backbone])]
        workers[way] = Worker([python_of(way, options), __file__, *arguments], options.threads)
        workers[way].turn()  # so that no two workers try batches at the same time
        workers[way].times.clear()
        print(f"{backbone}: {way} ready", file=sys.stderr, flush=True)
    for _ in range(ROUNDS):
        for worker in workers.values():
            worker.turn()
    for worker in workers.values():
        worker.close()
    return workers


def flop(path: Path) -> int:
    """Count the operations per image in convolutions and matrix products: 2 per weight and position."""
    from onnx import load, numpy_helper, shape_inference

    graph = shape_inference.infer_shapes(load(path)).graph
    weights = {tensor.name: numpy_helper.to_array(tensor).shape for tensor in graph.initializer}
    shapes = {info.name: [size.dim_value for size in info.type.tensor_type.shape.dim] for info in graph.value_info}
    layers = [node for node in graph.node if node.op_type in ("Conv", "Gemm")]
    return sum(2 * int(np.prod(weights[n.input[1]])) * int(np.prod(shapes.get(n.output[0], [])[2:])) for n in layers)


def lrn_share(path: Path, threads: int) -> float:
    """Measure the share of LRN and layout changes in the time of a file's nodes, for single images."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.log_severity_level, options.enable_profiling = threads, 3, True
    options.profile_file_prefix = str(path.with_suffix(""))
    profiled = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    for _ in range(30):
        profiled.run(None, {profiled.get_inputs()[0].name: images(1)})
    profile = Path(profiled.end_profiling())
    events = [event for event in json.loads(profile.read_text()) if event["name"].endswith("_kernel_time")]
    profile.unlink()
    of_lrn = [event for event in events if "norm" in event["name"] or "Reorder" in event["name"]]
    return sum(event["dur"] for event in of_lrn) / sum(event["dur"] for event in events)


def row(way: str, workers: dict[str, Worker], operations: int) -> list[str]:
    worker, ours = workers[way], workers["ours"]
    if worker.trouble:
        return [way, worker.trouble, *["-"] * 5]
    peak = workers["int8" if "int8" in way else "single"]
    rate = operations / worker.median
    share = rate / (2 * PRODUCT**3 / peak.best)
    setting = [str(worker.last["batch"]), worker.last["split"]]
    return [
        way,
        *setting,
        f"{1 / worker.median:.1f}",
        f"{ours.median / worker.median:.2f}",
        f"{rate / 1e9:.0f}",
        f"{share:.0%}",
    ]


def disagreement(workers: dict[str, Worker]) -> str:
    """List alternatives whose embeddings differ: float32 by 1e-4 of the largest, others by a cosine below 0.99."""
    ours = np.array(workers["ours"].last["embedding"])
    wrong = []
    for way, worker in workers.items():
        if worker.trouble or way in PRODUCTS:
            continue
        embedding = np.array(worker.last["embedding"])
        cosine = (embedding * ours).sum(1) / np.linalg.norm(embedding, axis=1) / np.linalg.norm(ours, axis=1)
        if any(word in way for word in ("int8", "relaxed", "by default")):
            wrong += [f"{way}: lowest cosine {cosine.min():.4f}"] if cosine.min() < 0.99 else []
        elif (error := np.abs(embedding - ours).max() / np.abs(ours).max()) > 1e-4:
            wrong.append(f"{way}: {error:.1e}")
    return "; ".join(wrong)


def table(backbone: str, options: argparse.Namespace) -> tuple[list[str], str]:
    """Measure a backbone; return the lines of its table, and disagreements."""
    prepare(backbone, options.work / backbone, options.peer_python)
    workers = measure(backbone, options)
    operations = flop(options.work / backbone / "lrn.onnx")
    peaks = [f"{2 * PRODUCT**3 / workers[name].best / 1e9:.0f}" for name in PRODUCTS]
    heads = [backbone, "batch", "sessions x threads", "images/s", "x ours", "GFLOP/s", "of the limit"]
    lines = [f"| {' | '.join(heads)} |", "|---" * len(heads) + "|"]
    lines += [f"| {' | '.join(row(way, workers, operations))} |" for way in workers if way not in PRODUCTS]
    lines += ["", f"{operations / 1e9:.2f} GFLOP an image; matrix products: {peaks[0]} GFLOP/s, int8 {peaks[1]}."]
    if backbone == "googlenet":
        shares = [lrn_share(options.work / backbone / name, options.threads) for name in ("ours.onnx", "lrn.onnx")]
        lines.append(f"LRN takes {shares[0]:.0%} of our file's time, and {shares[1]:.0%} with ONNX's operator.")
    return [*lines, ""], disagreement(workers)


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--work", type=Path, required=True, help="folder for the networks' files")
    parser.add_argument("--backbones", default=",".join(BACKBONES), help="%(default)s")
    parser.add_argument("--peer-python", metavar="PATH", help="interpreter with MXNet and onnx 1.14, for mx2onnx")
    parser.add_argument("--torch-python", default=sys.executable, metavar="PATH", help="interpreter with PyTorch")
    parser.add_argument(
        "--openvino-python",
        default=sys.executable,
        metavar="PATH",
        help="interpreter with openvino and onnxruntime-openvino",
    )
    parser.add_argument("--threads", type=int, default=2, help="CPU threads of each alternative (%(default)s)")
    parser.add_argument(
        "--seconds", type=float, default=2.0, help="seconds per round of each alternative (%(default)s)"
    )
    parser.add_argument("--worker", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if not options.worker and util.find_spec("mxnet") is None:
        parser.error("this interpreter has no MXNet; run with one that has it, and give the others with --...-python")
    return options


def main() -> int:
    options = parse()
    if options.worker:
        way, backbone = json.loads(options.worker)
        work(way, backbone, options)
        return 0
    import onnxruntime

    lines = [
        f"onnxruntime {onnxruntime.__version__}, {options.threads} threads, {CROP} x {CROP} px, {os.uname().machine}",
        "",
    ]
    wrong = []
    for backbone in options.backbones.split(","):
        backbone_lines, differing = table(backbone, options)
        print(*backbone_lines, sep="\n", flush=True)
        lines += backbone_lines
        wrong += [f"{backbone}: FAILED, embeddings differ: {differing}."] if differing else []
    print(*wrong, sep="\n")
    if options.backbones == ",".join(BACKBONES) and not wrong:
        (RESULTS / "inference.md").write_text("\n".join(["# Inference on a CPU", "", *lines]))
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
