"""Alternatives that `inference.py` compares: for each split of threads, a function images -> embeddings.

Each runs in a process of its own, so that frameworks do not interfere.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from training_step import drawn, torch_network

if TYPE_CHECKING:
    from pathlib import Path

PRODUCT = 2048  # side of the multiplied matrices
Run = Callable[[np.ndarray], np.ndarray]  # images (N, 3, 224, 224) -> embeddings (N, 64)


def in_onnxruntime(path: Path, threads: int, device: str = "cpu", *, relaxed: bool = False) -> dict[str, Run]:
    """Run as `Embedder` does: all threads on one batch, or one batch per thread."""
    from serve_cli.model.model_options import ModelOptions
    from serve_cli.model.providers import open_session

    options = ModelOptions(device=device, threads=threads, relaxed=relaxed)
    together = open_session(path, options)
    apart = open_session(path, replace(options, sessions=threads))
    name = together.get_inputs()[0].name
    pool = ThreadPoolExecutor(threads)

    def side_by_side(batch: np.ndarray) -> np.ndarray:
        return np.concatenate(list(pool.map(lambda part: apart.run(None, {name: part})[0], np.split(batch, threads))))

    return {f"1 x {threads}": lambda batch: together.run(None, {name: batch})[0], f"{threads} x 1": side_by_side}


def in_mxnet(folder: Path, threads: int) -> dict[str, Run]:
    from gluon_lifted.mx import gluon, nd

    net = gluon.SymbolBlock.imports(str(folder / "net-symbol.json"), ["data"], str(folder / "net-0000.params"))
    net.hybridize(static_alloc=True, static_shape=True)
    return {f"1 x {threads}": lambda batch: net(nd.array(batch)).asnumpy()}


def in_torch(backbone: str, threads: int, layout: str) -> dict[str, Run]:
    import torch

    torch.set_num_threads(threads)
    network = torch_network(backbone)
    with torch.no_grad():
        matrices = [parameter for parameter in network.parameters() if parameter.ndim > 1]
        for index, parameter in enumerate(matrices):
            parameter.copy_(torch.from_numpy(drawn(index, tuple(parameter.shape))))
        for name, parameter in network.named_parameters():
            if name.endswith("bias"):
                parameter.zero_()
    memory_format = getattr(torch, layout)
    network = network.eval().to(memory_format=memory_format)

    def run(batch: np.ndarray) -> np.ndarray:
        with torch.inference_mode():
            embedding = network(torch.from_numpy(batch).contiguous(memory_format=memory_format))
        return np.asarray(embedding.numpy())

    return {f"1 x {threads}": run}


def in_openvino(path: Path, threads: int, precision: str | None) -> dict[str, Run]:
    import openvino

    core = openvino.Core()
    settings = {"INFERENCE_NUM_THREADS": threads, "PERFORMANCE_HINT": "THROUGHPUT"}
    model = core.compile_model(path, "CPU", settings | ({"INFERENCE_PRECISION_HINT": precision} if precision else {}))
    lanes = model.get_property("OPTIMAL_NUMBER_OF_INFER_REQUESTS")
    queue = openvino.AsyncInferQueue(model, lanes)

    def run(batch: np.ndarray) -> np.ndarray:
        parts = np.split(batch, lanes)
        outputs: dict[int, np.ndarray] = {}
        queue.set_callback(lambda request, index: outputs.__setitem__(index, request.get_output_tensor().data.copy()))
        for index, part in enumerate(parts):
            queue.start_async({0: part}, index)
        queue.wait_all()
        return np.concatenate([outputs[index] for index in range(lanes)])

    return {f"{lanes} requests": run}


def single_product(threads: int) -> Callable[[], object]:
    matrix = np.ones((PRODUCT, PRODUCT), np.float32)
    return lambda: matrix @ matrix


def int8_product(threads: int) -> Callable[[], object]:
    import onnxruntime
    from onnx import TensorProto, helper, numpy_helper

    kinds = (("a", TensorProto.UINT8), ("y", TensorProto.INT32))
    a, y = (helper.make_tensor_value_info(name, kind, [PRODUCT, PRODUCT]) for name, kind in kinds)
    weights = numpy_helper.from_array(np.ones((PRODUCT, PRODUCT), np.int8), "b")
    graph = helper.make_graph([helper.make_node("MatMulInteger", ["a", "b"], ["y"])], "g", [a], [y], [weights])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    product = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    ones = np.ones((PRODUCT, PRODUCT), np.uint8)
    return lambda: product.run(None, {"a": ones})


PRODUCTS = {"single": single_product, "int8": int8_product}
WAYS: dict[str, Callable[[str, Path, int], dict[str, Run]]] = {
    "ours": lambda backbone, folder, threads: in_onnxruntime(folder / "ours.onnx", threads),
    "ours, int8 for dot products": lambda backbone, folder, threads: in_onnxruntime(folder / "dots.onnx", threads),
    "ours, int8 for tiles": lambda backbone, folder, threads: in_onnxruntime(folder / "tiles.onnx", threads),
    "ours by OpenVINO": lambda backbone, folder, threads: in_onnxruntime(folder / "ours.onnx", threads, "openvino"),
    "ours by OpenVINO, relaxed": lambda backbone, folder, threads: in_onnxruntime(
        folder / "ours.onnx", threads, "openvino", relaxed=True
    ),
    "ours by OpenVINO, int8": lambda backbone, folder, threads: in_onnxruntime(
        folder / "dots.onnx", threads, "openvino"
    ),
    "ours with ONNX's LRN": lambda backbone, folder, threads: in_onnxruntime(folder / "lrn.onnx", threads),
    "mx2onnx": lambda backbone, folder, threads: in_onnxruntime(folder / "peer.onnx", threads),
    "MXNet, static_alloc": lambda backbone, folder, threads: in_mxnet(folder, threads),
    "torch": lambda backbone, folder, threads: in_torch(backbone, threads, "contiguous_format"),
    "torch, channels_last": lambda backbone, folder, threads: in_torch(backbone, threads, "channels_last"),
    "OpenVINO itself, f32": lambda backbone, folder, threads: in_openvino(folder / "ours.onnx", threads, "f32"),
    "OpenVINO itself, by default": lambda backbone, folder, threads: in_openvino(folder / "ours.onnx", threads, None),
    "OpenVINO itself, our int8": lambda backbone, folder, threads: in_openvino(folder / "dots.onnx", threads, None),
}
