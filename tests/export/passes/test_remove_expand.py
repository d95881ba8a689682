from __future__ import annotations

import numpy as np
import pytest

from tests.export.mxnet_files import Net
from tests.export.ops_runner import run_onnx, translate_net

ROW = (4, 3, 2)
IMAGES = np.random.default_rng(0).uniform(1, 2, (2, *ROW)).astype(np.float32)
PEAKS = IMAGES.max(axis=(2, 3), keepdims=True)


def net_of(op: str, first: str, second: str) -> Net:
    """An operator of two of: the images, ones, their largest values, those repeated."""
    net = Net()
    data = net.variable("data")
    peak = net.op("Pooling", "peak", [data], {"global_pool": "True"})
    made = {
        "data": data,
        "ones": net.op("ones_like", "ones", [data]),
        "repeated": net.op("broadcast_like", "repeated", [peak, data]),
        "one_each": net.op("ones_like", "one_each", [peak]),
    }
    net.op("Flatten", "flat", [net.op(op, "tested", [made[first], made[second]])])
    return net


@pytest.mark.parametrize(
    ("op", "first", "second", "expected", "ops"),
    [
        ("elemwise_sub", "ones", "data", 1 - IMAGES, ["Sub", "Flatten"]),
        ("elemwise_sub", "data", "ones", IMAGES - 1, ["Sub", "Flatten"]),
        ("elemwise_div", "repeated", "data", PEAKS / IMAGES, ["GlobalMaxPool", "Div", "Flatten"]),
        ("_power", "data", "repeated", IMAGES**PEAKS, ["GlobalMaxPool", "Pow", "Flatten"]),
        (
            *("elemwise_add", "ones", "repeated", np.broadcast_to(1 + PEAKS, IMAGES.shape)),
            ["GlobalMaxPool", "Shape", "ConstantOfShape", "Expand", "Add", "Flatten"],
        ),
        (
            *("broadcast_add", "data", "one_each", IMAGES + 1),
            ["GlobalMaxPool", "Shape", "ConstantOfShape", "Add", "Flatten"],
        ),
    ],
)
def test_what_an_operator_repeats_is_not_spelled_out(
    op: str, first: str, second: str, expected: np.ndarray, ops: list[str]
) -> None:
    graph = translate_net(net_of(op, first, second), ROW)
    assert [node.op for node in graph.nodes] == ops
    np.testing.assert_allclose(run_onnx(graph, IMAGES), expected.reshape(2, -1), rtol=1e-6)


def test_repetition_that_others_take_is_kept() -> None:
    net = net_of("elemwise_mul", "repeated", "data")
    flat = len(net.nodes) - 1
    repeated = next(index for index, node in enumerate(net.nodes) if node["name"] == "repeated")
    net.op("Concat", "both", [net.op("Flatten", "flat_too", [repeated]), flat], {"num_args": "2"})
    assert "Expand" not in [node.op for node in translate_net(net_of("elemwise_mul", "repeated", "data"), ROW).nodes]
    graph = translate_net(net, ROW)
    parts = (np.broadcast_to(PEAKS, IMAGES.shape), PEAKS * IMAGES)
    expected = np.concatenate([part.reshape(2, -1) for part in parts], 1)
    np.testing.assert_allclose(run_onnx(graph, IMAGES), expected, rtol=1e-6)
