from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from export.errors import UnsupportedOpError
from export.graph.graph import FLOAT16, FLOAT32, Graph
from export.graph.shape import N
from export.passes.optimize import optimize
from export.reader.symbol import parse_symbol
from export.translate import translate
from tests.export import oracles
from tests.export.array_case import ArrayCase, Given, run_graph, whole
from tests.export.mxnet_files import Net
from tests.export.networks import CROP, small_network, small_reference
from tests.export.op_case import ROW, OpCase
from tests.export.op_cases import CASES
from tests.export.ops_runner import run_onnx, run_reference

RNG = np.random.default_rng(2)


def halved(net: Net, row: tuple[int, ...]) -> Graph:
    symbol = parse_symbol(net.symbol_bytes(), "net")
    return optimize(
        translate(symbol, net.params, {"data": (N, *row)}, "net", outputs=("embedding",)),
        half=True,
    )


def conv(net: Net, name: str, source: int, weight: int) -> int:
    return net.op("Convolution", name, [source, weight], {"kernel": "(1, 1)", "num_filter": "4", "no_bias": "True"})


def test_convolutions_are_computed_in_half_and_norms_in_single() -> None:
    net = small_network()
    reference = small_reference(net)
    graph = halved(net, (3, CROP, CROP))
    assert (graph.input.dtype, graph.tensors["embedding"].dtype) == (FLOAT32, FLOAT32)
    assert {name: graph.tensors[name].dtype for name in ("conv1", "relu1", "bn", "concat", "fc")} == (
        dict.fromkeys(("conv1", "relu1", "bn", "concat", "fc"), FLOAT16)
    )
    assert {name: graph.tensors[name].dtype for name in ("norm1", "unit/sum", "unit/square")} == (
        dict.fromkeys(("norm1", "unit/sum", "unit/square"), FLOAT32)
    )
    weights = {name: graph.constants[name].dtype for name in ("conv1_weight", "conv2_weight", "bn_beta", "fc_weight")}
    assert set(weights.values()) == {FLOAT16}
    for actual in (run_onnx(graph, reference["data"]), run_reference(graph, reference["data"], 17)):
        assert actual.dtype == np.float32
        np.testing.assert_allclose(actual, reference["embedding"], atol=5e-3)
        assert np.abs(actual - reference["embedding"]).max() > 1e-6  # it is not single precision


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.op}: {case.note}")
def test_every_operator(case: OpCase) -> None:
    """Behind a convolution, so that the operator could be in half precision."""
    if "half" in case.sources or case.attrs.get("dtype") == "float16":
        pytest.skip("a network with half precision of its own is refused; another test shows that")
    net = Net()
    data = net.variable("data")
    first = conv(net, "first", data, net.variable("first_weight", np.eye(4, dtype=np.float32)[:, :, None, None]))
    inner = case.net()
    net.params |= inner.params
    shift = len(net.nodes) - 1
    for node in inner.nodes[1:]:
        inputs = [[first if at == 0 else at + shift, output, 0] for at, output, _ in node["inputs"]]
        net.nodes.append(node | {"inputs": inputs})
    images = np.random.default_rng(0).normal(size=(2, *ROW)).astype(np.float16).astype(np.float32)
    expected = case.expected(images).astype(np.float32)
    actual = run_onnx(halved(net, ROW), images)
    np.testing.assert_allclose(actual, expected, rtol=1e-2, atol=5e-3 * np.abs(expected).max())


def test_a_tensor_is_cast_once() -> None:
    net = Net()
    data = net.variable("data")
    weights = [net.variable(f"w{index}", RNG.normal(size=(4, 4, 1, 1)).astype(np.float32)) for index in (0, 1)]
    both = net.op("elemwise_add", "both", [conv(net, "a", data, weights[0]), conv(net, "b", data, weights[1])])
    powers = [net.op(op, op, [both]) for op in ("exp", "sqrt")]
    net.op("elemwise_mul", "product", powers)
    graph = halved(net, ROW)
    assert Counter(node.op for node in graph.nodes)["Cast"] == 2  # of the images, and of the sum
    assert graph.tensors["embedding"].dtype == FLOAT32


def test_weights_beyond_half_stay_single() -> None:
    net = Net()
    weight = np.full((4, 4, 1, 1), 7e4, np.float32)
    conv(net, "conv", net.variable("data"), net.variable("weight", weight))
    graph = halved(net, ROW)
    assert graph.constants["weight"].dtype == FLOAT32
    images = RNG.normal(size=(2, *ROW)).astype(np.float32)
    np.testing.assert_allclose(run_onnx(graph, images), oracles.convolution(images, weight), atol=1)


def test_parameter_of_both_precisions_is_kept_in_both() -> None:
    net = Net()
    data = net.variable("data")
    number = net.variable("number", np.float32([1.5]))
    first = conv(net, "first", data, net.variable("weight", np.eye(4, dtype=np.float32)[:, :, None, None]))
    in_half = net.op("broadcast_add", "in_half", [first, number])
    power = net.op("broadcast_power", "power", [net.op("abs", "abs", [data]), number])
    net.op("elemwise_add", "sum", [in_half, power])
    graph = halved(net, ROW)
    assert (graph.constants["number"].dtype, graph.constants["number/half"].dtype) == (FLOAT32, FLOAT16)
    images = RNG.normal(size=(2, *ROW)).astype(np.float32)
    np.testing.assert_allclose(run_onnx(graph, images), images + 1.5 + np.abs(images) ** 1.5, atol=2e-2)


def test_squares_stay_single() -> None:
    """300 squared is beyond half."""
    net = Net()
    weight = net.variable("weight", 300 * np.eye(4, dtype=np.float32)[:, :, None, None])
    net.op("square", "square", [conv(net, "conv", net.variable("data"), weight)])
    np.testing.assert_allclose(run_onnx(halved(net, ROW), np.ones((1, *ROW), np.float32)), 9e4)


def test_products_of_integers_stay_integers() -> None:
    numbers = Given((N, 3, 3), whole(-3, 3, "int32"))
    operands = {"left": numbers, "right": numbers}
    case = ArrayCase("batch_dot", "integers", operands, lambda a, b: (a == a @ b).astype(a.dtype), then="_equal")
    symbol, feeds = parse_symbol(case.net().symbol_bytes(), "net"), case.feeds(2)
    types = {name: array.dtype for name, array in feeds.items()}
    graph = optimize(translate(symbol, {}, dict.fromkeys(feeds, numbers.shape), "net", dtypes=types), half=True)
    np.testing.assert_array_equal(run_graph(graph, feeds)[0], case.expected(feeds)[0])


def test_network_in_half_precision_is_refused() -> None:
    net = Net()
    net.op("Cast", "half", [net.variable("data")], {"dtype": "float16"})
    with pytest.raises(UnsupportedOpError, match="already computes in float16"):
        halved(net, ROW)
