"""Measure images per second on a device, bare session, Embedder and entire pipeline, against their limits.

    python benchmarks/device.py RUN PHOTOS --device gpu --calibration PHOTOS

It exports the run with `--preprocess graph` in float32, float16 and int8 and measures each; float32 also with
`--relaxed` (TF32 on a GPU, bfloat16 in OpenVINO). The bare session repeats one batch that is already on the device.
The Embedder maps pixels to embeddings. The pipeline decodes PHOTOS as `lifted embed` does. The limits are the
operations of convolutions and matrix products over the rate of a large matrix product on the same device, and the
bytes that cross the bus over the rate of copying.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from inference import flop

from export import ExportOptions, export_run
from serve_cli.embed.decoding import Decoding
from serve_cli.embed.embed_rows import embed_rows
from serve_cli.model.embedder import Embedder
from serve_cli.model.model_options import ModelOptions
from serve_cli.model.providers import (
    CUDA,
    PROVIDERS,
    open_session,
)
from serve_cli.sources.resolve import open_source

if TYPE_CHECKING:
    from collections.abc import Callable

SIDE = 8192  # of the multiplied matrices, on a GPU
HEADS = ["", "bare images/s", "TFLOP/s", "of product", "Embedder images/s", "GB/s", "of copying", "pipeline images/s"]


def rate(work: Callable[[], object], amount: float, seconds: float) -> float:
    """Return the amount per second, after a warm-up."""
    work()
    count, began = 0, time.perf_counter()
    while (elapsed := time.perf_counter() - began) < seconds:
        work()
        count += 1
    return count * amount / elapsed


def bare(embedder: Embedder, pixels: np.ndarray, seconds: float) -> float:
    """Measure the session alone: input and output stay on the device."""
    import onnxruntime

    device = "cuda" if CUDA in embedder.session.get_providers() else "cpu"
    value = onnxruntime.OrtValue.ortvalue_from_numpy(embedder.feed(pixels), device, 0)
    binding = embedder.session.io_binding()
    binding.bind_ortvalue_input(embedder.session.get_inputs()[0].name, value)
    binding.bind_output("embedding", device)
    return rate(lambda: embedder.session.run_with_iobinding(binding), len(pixels), seconds)


def together(embedder: Embedder, pixels: np.ndarray, seconds: float) -> float:
    """Measure as many concurrent batches as there are lanes."""
    with ThreadPoolExecutor(embedder.lanes) as pool:
        batches = [pixels] * embedder.lanes
        return rate(lambda: list(pool.map(embedder.embed, batches)), len(pixels) * embedder.lanes, seconds)


def pipeline(embedder: Embedder, photos: Path, batch_size: int) -> float:
    began, rows = time.perf_counter(), 0
    for batch in embed_rows(embedder, open_source(photos), batch_size, Decoding(embedder.threads)):
        rows += len(batch.rows)
    return rows / (time.perf_counter() - began)


def product_rate(folder: Path, device: str, dtype: Any, *, relaxed: bool, seconds: float) -> float:
    """Measure the operations per second of a large matrix product of a dtype on the device."""
    from onnx import TensorProto, helper, save

    side = SIDE if device in ("gpu", "tensorrt") else SIDE // 4
    element = {np.float32: TensorProto.FLOAT, np.float16: TensorProto.FLOAT16}[dtype]
    values = [helper.make_tensor_value_info(name, element, [side, side]) for name in "aby"]
    nodes = [helper.make_node("MatMul", ["a", "b"], ["y"])]
    model = helper.make_model(
        helper.make_graph(nodes, "g", values[:2], values[2:]), opset_imports=[helper.make_opsetid("", 17)], ir_version=9
    )
    path = folder / "product.onnx"
    save(model, path)
    import onnxruntime

    session = open_session(path, ModelOptions(device=device, threads=1, relaxed=relaxed, allow_fallback=True))
    memory = "cuda" if CUDA in session.get_providers() else "cpu"
    binding = session.io_binding()
    for name in "ab":
        value = onnxruntime.OrtValue.ortvalue_from_numpy(np.ones((side, side), dtype), memory, 0)
        binding.bind_ortvalue_input(name, value)
    binding.bind_output("y", memory)
    return rate(lambda: session.run_with_iobinding(binding), 2 * side**3, seconds)


def copy_rate(pixels: np.ndarray, device: str, seconds: float) -> float:
    """Measure the bytes per second from pinned memory to the GPU; 0 without a bus to cross."""
    if CUDA not in PROVIDERS[device]:
        return 0.0
    from serve_cli.model.cuda import Cuda

    cuda = Cuda()
    host, address, stream = cuda.pinned(pixels.shape, pixels.dtype), cuda.allocate(pixels.nbytes), cuda.stream()
    return rate(lambda: cuda.copy_in(address, host, stream), pixels.nbytes, seconds)


def row(name: str, model: Path, options: argparse.Namespace, *, relaxed: bool) -> list[str]:
    embedder = Embedder(model, ModelOptions(device=options.device, relaxed=relaxed))
    crop, size = embedder.card.preprocessing.crop, options.batch_size or embedder.batch_size
    pixels = np.random.default_rng(0).integers(0, 256, (size, crop, crop, 3), np.uint8)
    alone = bare(embedder, pixels, options.seconds)
    served = together(embedder, pixels, options.seconds)
    dtype = np.float16 if name == "fp16" else np.float32
    peak = product_rate(model.parent, options.device, dtype, relaxed=relaxed, seconds=options.seconds)
    bytes_per_s, copying = served * pixels[0].nbytes, copy_rate(pixels, options.device, 1.0)
    work = alone * flop(model.with_name("fp32.onnx"))
    return [
        name,
        *(f"{alone:.0f}", f"{work / 1e12:.2f}", f"{work / peak:.0%}"),
        *(f"{served:.0f}", f"{bytes_per_s / 1e9:.2f}", f"{bytes_per_s / copying:.0%}" if copying else "-"),
        f"{pipeline(embedder, options.photos, size):.0f}",
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run", type=Path, help="run folder of `lifted train`")
    parser.add_argument("photos", type=Path, help="folder of images to embed")
    parser.add_argument(
        "--calibration", type=Path, help="folder of images to calibrate int8 with; without it, int8 is skipped"
    )
    parser.add_argument("--device", default="gpu", choices=list(PROVIDERS), help="%(default)s")
    parser.add_argument("--batch-size", type=int, help="images per batch (the device's default)")
    parser.add_argument("--seconds", type=float, default=3.0, help="seconds per measurement (%(default)s)")
    options = parser.parse_args()
    print(f"| {' | '.join(HEADS)} |\n{'|---' * len(HEADS)}|", flush=True)
    with tempfile.TemporaryDirectory() as name:
        for precision in ("fp32", "fp16", *(["int8"] if options.calibration else [])):
            model = Path(name, f"{precision}.onnx")
            calibration = options.calibration if precision == "int8" else None
            export_run(options.run, model, ExportOptions(precision=precision, calibration=calibration), pixels=True)
            for relaxed in (False, True) if precision == "fp32" else (False,):
                cells = row("fp32, relaxed" if relaxed else precision, model, options, relaxed=relaxed)
                print(f"| {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
