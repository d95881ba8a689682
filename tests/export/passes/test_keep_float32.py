from __future__ import annotations

import numpy as np

from export.graph.graph import FLOAT16, FLOAT32
from tests.export.mxnet_files import Net
from tests.export.ops_runner import run_onnx, translate_net

ROW = (3, 20, 20)


def test_batch_norm_without_a_layer_is_computed_in_single() -> None:
    net = Net()
    data = net.op("Cast", "half", [net.variable("data")], {"dtype": "float16"})
    statistics = [np.float32([1, 2, 3]), np.float32([0, 1, 0]), np.float32([0, 0, 1e5]), np.float32([1, 1, 1e10])]
    parts = [net.variable(f"bn_{index}", array) for index, array in enumerate(statistics)]  # 1e10 is beyond float16
    net.op("Flatten", "flat", [net.op("BatchNorm", "bn", [data, *parts], {"fix_gamma": "False"})])
    graph = translate_net(net, ROW)
    assert [node.op for node in graph.nodes] == ["Cast", "Cast", "BatchNormalization", "Cast", "Flatten"]
    assert graph.nodes[3].name == "bn"
    actual = run_onnx(graph, np.full((1, *ROW), 2, np.float32)).reshape(3, -1)[:, 0]
    np.testing.assert_allclose(actual, [2, 5, (2 - 1e5) / 1e5 * 3], rtol=1e-3)


def test_lrn_is_computed_in_single() -> None:
    net = Net()
    half = net.op("Cast", "half", [net.variable("data")], {"dtype": "float16"})
    net.op("Flatten", "flat", [net.op("LRN", "norm", [half], {"nsize": "5"})])
    graph = translate_net(net, ROW)
    assert [node.op for node in graph.nodes if node.op in ("Cast", "Conv")] == ["Cast", "Cast", "Conv", "Cast"]
    assert graph.tensors["norm"].dtype == FLOAT16
    assert {array.dtype for array in graph.constants.values()} == {FLOAT32}
