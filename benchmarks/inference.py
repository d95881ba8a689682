"""Images per second of the trained network on a CPU: our files in onnxruntime, and every other way to run it.

    python benchmarks/inference.py --work WORK [--peer-python PATH] [--torch-python PATH] [--openvino-python PATH]

`googlenet` is Szegedy et al.'s network with local response normalization, `googlenet_bn` GluonCV's with batch norm,
both with an embedding layer, at 224 x 224 px. Each way runs in a process of its own, with the batch size and, in
onnxruntime, the split of the threads that it is fastest with; they take turns. OpenVINO is there twice: behind
onnxruntime, as `--device openvino` has it, and itself, set for throughput; as it comes it computes in bfloat16 where
the processor has that.

The run fails if the embeddings differ. The limit is the floating-point operations of convolutions and matrix products
over the rate of a large product of matrices, NumPy's in single precision and onnxruntime's in int8, in the same run.
For our file, the share of local response normalization is printed, including the layout changes that it causes.
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
    """What photographs look like to a network: smooth, with edges; pixels less their mean, over their deviation."""
    rng = np.random.default_rng(0)
    coarse = rng.normal(size=(count, 3, CROP // 16, CROP // 16)).repeat(16, 2).repeat(16, 3)
    return (coarse + 0.2 * rng.normal(size=(count, 3, CROP, CROP))).astype(np.float32)


def prepare(backbone: str, folder: Path, peer_python: str | None) -> None:
    """The network frozen by MXNet, and all files made of it."""
    from onnx import load, save

    from export import ExportOptions, export_network
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
    matrices = [one for one in net.collect_params().values() if len(one.shape) > 1]
    for index, one in enumerate(matrices):
        one.set_data(nd.array(drawn(index, one.shape)))
    net.export(str(folder / "net"))
    files = SavedNetwork(folder / "net-symbol.json", folder / "net-0000.params")
    row = (3, CROP, CROP)
    export_network(files, row, folder / "ours.onnx")
    export_network(files, row, folder / "lrn.onnx", ExportOptions(exact_lrn=True))
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
    found = {"torch": options.torch_python, "OpenVINO": options.openvino_python}
    return next((path for name, path in found.items() if name in way), sys.executable)


def lanes(split: str) -> int:
    """Batches side by side: ``"2 x 1"`` and ``"2 requests"`` have two."""
    return int(split.split(maxsplit=1)[0])


def seconds_an_image(run: Callable[[np.ndarray], np.ndarray], count: int) -> float:
    batch = images(count)
    run(batch)
    return min(timed(lambda: run(batch), PROBE_S, 2)) / count


def work(way: str, backbone: str, options: argparse.Namespace) -> None:
    """A worker's life: try batches and splits, keep the fastest, run it for a round whenever asked."""

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
        _, size, split, run = min(tried, key=lambda one: one[0])
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
        workers[way].turn()  # they are not to try batches at the same time
        workers[way].times.clear()
        print(f"{backbone}: {way} ready", file=sys.stderr, flush=True)
    for _ in range(ROUNDS):
        for one in workers.values():
            one.turn()
    for one in workers.values():
        one.close()
    return workers


def flop(path: Path) -> int:
    """Operations for an image in convolutions and matrix products: 2 for each weight and place."""
    from onnx import load, numpy_helper, shape_inference

    graph = shape_inference.infer_shapes(load(path)).graph
    weights = {one.name: numpy_helper.to_array(one).shape for one in graph.initializer}
    shapes = {one.name: [size.dim_value for size in one.type.tensor_type.shape.dim] for one in graph.value_info}
    layers = [node for node in graph.node if node.op_type in ("Conv", "Gemm")]
    return sum(2 * int(np.prod(weights[n.input[1]])) * int(np.prod(shapes.get(n.output[0], [])[2:])) for n in layers)


def lrn_share(path: Path, threads: int) -> float:
    """Share of the time of a file's nodes that LRN and changes of layout take, for single images."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.log_severity_level, options.enable_profiling = threads, 3, True
    options.profile_file_prefix = str(path.with_suffix(""))
    profiled = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    for _ in range(30):
        profiled.run(None, {profiled.get_inputs()[0].name: images(1)})
    profile = Path(profiled.end_profiling())
    events = [one for one in json.loads(profile.read_text()) if one["name"].endswith("_kernel_time")]
    profile.unlink()
    of_lrn = [one for one in events if "norm" in one["name"] or "Reorder" in one["name"]]
    return sum(one["dur"] for one in of_lrn) / sum(one["dur"] for one in events)


def row(way: str, workers: dict[str, Worker], operations: int) -> list[str]:
    one, ours = workers[way], workers["ours"]
    if one.trouble:
        return [way, one.trouble, *["-"] * 5]
    peak = workers["int8" if "int8" in way else "single"]
    rate = operations / one.median
    share = rate / (2 * PRODUCT**3 / peak.best)
    setting = [str(one.last["batch"]), one.last["split"]]
    return [
        way,
        *setting,
        f"{1 / one.median:.1f}",
        f"{ours.median / one.median:.2f}",
        f"{rate / 1e9:.0f}",
        f"{share:.0%}",
    ]


def disagreement(workers: dict[str, Worker]) -> str:
    """Ways whose embeddings are not ours: single precision to 1e-4 of the largest, others to a cosine of 0.99."""
    ours = np.array(workers["ours"].last["embedding"])
    wrong = []
    for way, one in workers.items():
        if one.trouble or way in PRODUCTS:
            continue
        found = np.array(one.last["embedding"])
        cosine = (found * ours).sum(1) / np.linalg.norm(found, axis=1) / np.linalg.norm(ours, axis=1)
        if any(word in way for word in ("int8", "relaxed", "as it comes")):
            wrong += [f"{way}: least cosine {cosine.min():.4f}"] if cosine.min() < 0.99 else []
        elif (error := np.abs(found - ours).max() / np.abs(ours).max()) > 1e-4:
            wrong.append(f"{way}: {error:.1e}")
    return "; ".join(wrong)


def table(backbone: str, options: argparse.Namespace) -> tuple[list[str], str]:
    """The lines of a backbone, and what is wrong with them."""
    prepare(backbone, options.work / backbone, options.peer_python)
    workers = measure(backbone, options)
    operations = flop(options.work / backbone / "lrn.onnx")
    peaks = [f"{2 * PRODUCT**3 / workers[name].best / 1e9:.0f}" for name in PRODUCTS]
    heads = [backbone, "batch", "sessions x threads", "images/s", "x ours", "GFLOP/s", "of the limit"]
    lines = [f"| {' | '.join(heads)} |", "|---" * len(heads) + "|"]
    lines += [f"| {' | '.join(row(way, workers, operations))} |" for way in workers if way not in PRODUCTS]
    lines += ["", f"{operations / 1e9:.2f} GFLOP an image; products of matrices: {peaks[0]} GFLOP/s, int8 {peaks[1]}."]
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
        "--openvino-python", default=sys.executable, metavar="PATH", help="one with openvino and onnxruntime-openvino"
    )
    parser.add_argument("--threads", type=int, default=2, help="of each way (%(default)s)")
    parser.add_argument("--seconds", type=float, default=2.0, help="of each way's round (%(default)s)")
    parser.add_argument("--worker", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if not options.worker and util.find_spec("mxnet") is None:
        parser.error("this interpreter has no MXNet; run with one that has, and name the others' by --...-python")
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
        found, differing = table(backbone, options)
        print(*found, sep="\n", flush=True)
        lines += found
        wrong += [f"{backbone}: FAILED, embeddings differ: {differing}."] if differing else []
    print(*wrong, sep="\n")
    if options.backbones == ",".join(BACKBONES) and not wrong:
        (RESULTS / "inference.md").write_text("\n".join(["# Inference on a CPU", "", *lines]))
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
