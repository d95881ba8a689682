from __future__ import annotations

import contextlib
import copy
import json
from typing import Any

import numpy as np
import pytest

from export.errors import MalformedModelError, UnsupportedAttributeError, UnsupportedOpError
from export.graph import graph as graph_module
from export.graph.model import build_model
from export.graph.shape import N
from export.passes.optimize import optimize
from export.reader.symbol import parse_symbol
from export.translate import translate
from gluon_lifted.errors import LiftedError
from tests.export.mxnet_files import Net
from tests.export.networks import CROP, small_network, small_reference
from tests.export.ops_runner import run_all, run_onnx, translate_net

ROW = (3, CROP, CROP)
JUNK_TEXTS = [
    "",
    "0",
    "-1",
    "1",
    "2",
    "999999999",
    "(0, 0)",
    "(9, 9)",
    "(999999999, 1)",
    "True",
    "None",
    "x",
    "()",
    "1e30",
]


def small_parts() -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    net = small_network()
    return net.symbol(), net.params


def translate_document(document: dict[str, Any], params: dict[str, np.ndarray]) -> Any:
    symbol = parse_symbol(json.dumps(document).encode(), "s")
    return optimize(translate(symbol, params, {"data": (N, *ROW)}, "model-symbol.json", outputs=("embedding",)))


def test_network_equals_plain_loops() -> None:
    net = small_network()
    reference = small_reference(net)
    actual = run_onnx(translate_net(net, ROW), reference["data"])
    np.testing.assert_allclose(actual, reference["embedding"], atol=1e-6)


def test_nodes_and_parameters_keep_their_names() -> None:
    graph = translate_net(small_network(), ROW)
    assert [node.name for node in graph.nodes if "/" not in node.name] == (
        ["conv1", "relu1", "norm1", "pool1", "conv2", "relu2", "pool2", "concat", "fc", "unit"]
    )
    assert {"conv1_weight", "conv1_bias", "conv2_weight", "fc_weight", "fc_bias"} <= set(graph.constants)
    assert graph.nodes[-1].outputs == ("embedding",)


def test_graph_is_bare() -> None:
    graph = translate_net(small_network(), ROW)
    used = {name for node in graph.nodes for name in node.inputs}
    assert set(graph.constants) <= used
    assert all(node.outputs[0] in used | {"embedding"} for node in graph.nodes)
    assert not {"Identity", "Dropout", "BatchNormalization"} & {node.op for node in graph.nodes}


def test_nodes_that_the_output_does_not_need_are_left_out() -> None:
    document, params = small_parts()
    last = len(document["nodes"]) - 1
    document["nodes"][last:last] = [
        {"op": "sin", "name": "side", "inputs": [[0, 0, 0]]},
        {"op": "SVMOutput", "name": "loss", "inputs": [[last, 0, 0]]},
    ]
    document["heads"] = [[len(document["nodes"]) - 1, 0, 0]]
    assert [node.name for node in translate_document(document, params).nodes] == (
        [node.name for node in translate_net(small_network(), ROW).nodes]
    )


@pytest.mark.parametrize(
    ("op", "hint"),
    [
        ("_contrib_quantized_conv", "The network is quantized. Export the original network instead."),
        ("_contrib_MultiProposal", "ONNX has no such operator. Export the network up to an earlier node"),
        ("_sg_mkldnn_conv", "The network is quantized"),
        ("_npi_svd", "lists the mx.np operators that can be exported"),
    ],
)
def test_operators_that_will_not_be_translated_say_what_to_do(op: str, hint: str) -> None:
    net = Net()
    net.op(op, "one", [net.variable("data")])
    with pytest.raises(UnsupportedOpError, match=rf"net: 1 operator cannot be exported: {op} x1 .*{hint}"):
        translate_net(net, ROW)


def test_all_unsupported_operators_are_named_at_once() -> None:
    net = Net()
    tensor = net.variable("data")
    for index, op in enumerate(["gamma", "erfinv", "gamma", "Flatten"]):
        tensor = net.op(op, f"node{index}", [tensor])
    with pytest.raises(UnsupportedOpError) as caught:
        translate_net(net, ROW)
    assert str(caught.value) == (
        "net: 2 operators cannot be exported: erfinv x1 (first: node 'node1'), gamma x2 (first: node 'node0')."
    )


def test_all_missing_parameters_are_counted() -> None:
    document, params = small_parts()
    del params["conv1_bias"], params["fc_weight"]
    with pytest.raises(
        MalformedModelError, match=r"the .params file lacks 2 of the network's parameters: 'conv1_bias', 'fc_weight'"
    ):
        translate_document(document, params)


def test_block_used_twice_repeats_names() -> None:
    net = Net()
    data = net.variable("data")
    once = net.op("tanh", "twice", [data])
    net.op("Flatten", "flat", [net.op("elemwise_add", "sum", [once, net.op("tanh", "twice", [once])])])
    x = np.random.default_rng(0).normal(size=(2, *ROW)).astype(np.float32)
    graph = translate_net(net, ROW)
    np.testing.assert_allclose(run_onnx(graph, x), (np.tanh(x) + np.tanh(np.tanh(x))).reshape(2, -1), atol=1e-6)
    assert [node.name for node in graph.nodes] == ["twice/1", "twice/2", "sum", "flat"]


@pytest.mark.parametrize("name", ["data", "embedding", "norm1/square", "weight"])
def test_names_that_are_taken_do_not_clash(name: str) -> None:
    net = Net()
    data = net.variable("data")
    first = net.op("relu", name, [data])
    lrn = net.op("LRN", "norm1", [net.op("relu", "norm1/power", [first])], {"nsize": "3"})
    net.op(
        "FullyConnected",
        "fc",
        [lrn, net.variable("weight", np.ones((2, 1083), np.float32))],
        {"num_hidden": "2"} | {"no_bias": "1"},
    )
    graph = translate_net(net, ROW)
    build_model(graph, 17)
    assert len({node.outputs for node in graph.nodes}) == len(graph.nodes)


def test_unread_attribute_is_refused() -> None:
    document, params = small_parts()
    document["nodes"][3]["attrs"]["mystery"] = "7"
    with pytest.raises(UnsupportedAttributeError, match="mystery=7"):
        translate_document(document, params)


def test_parameter_named_like_the_output_does_not_clash() -> None:
    document, params = small_parts()
    next(node for node in document["nodes"] if node["name"] == "fc_bias")["name"] = "embedding"
    params["embedding"] = params.pop("fc_bias")
    graph = translate_document(document, params)
    assert "embedding" not in graph.constants
    build_model(graph, 17)


@pytest.mark.parametrize(
    ("heads", "message"),
    [
        ([[3, 0, 0], [4, 0, 0]], "has 2 outputs; expected 1: embedding"),
        ([[0, 0, 0]], "the output is the input or parameter 'data'"),
        ([[1, 0, 0]], "the output is the input or parameter 'conv1_weight'"),
    ],
)
def test_outputs_that_are_none_are_refused(heads: list[list[int]], message: str) -> None:
    document, params = small_parts()
    with pytest.raises(MalformedModelError, match=message):
        translate_document(document | {"heads": heads}, params)


def test_outputs_of_any_number_and_shape_keep_mxnets_names() -> None:
    document, params = small_parts()
    heads = [[4, 0, 0], [3, 0, 0]]  # the first takes the second
    graph = translate(
        parse_symbol(json.dumps(document | {"heads": heads}).encode(), "s"), params, {"data": (N, *ROW)}, "s"
    )
    assert [graph.tensors[name].row for name in graph.outputs] == [(4, 10, 10), (4, 10, 10)]
    assert graph.outputs == ["relu1_output", "conv1_output"]
    assert [node.name for node in graph.nodes] == ["conv1", "relu1"]
    relu, conv = run_all(graph, small_reference(small_network())["data"])
    np.testing.assert_array_equal(relu, np.maximum(conv, 0))
    symbol = parse_symbol(json.dumps(document | {"heads": heads[1:] * 2}).encode(), "s")
    twice = translate(symbol, params, {"data": (N, *ROW)}, "s")
    assert twice.outputs == ["conv1_output", "conv1_output_2"]
    first, second = run_all(twice, small_reference(small_network())["data"])
    np.testing.assert_array_equal(first, conv)
    np.testing.assert_array_equal(second, conv)


def test_input_of_another_name() -> None:
    net = small_network()
    net.nodes[0]["name"] = "image"
    graph = translate(parse_symbol(net.symbol_bytes(), "s"), net.params, {"image": (N, *ROW)}, "s")
    assert build_model(graph, 17).graph.input[0].name == "image"


def test_all_outputs_of_a_node() -> None:
    net = Net()
    data = net.variable("data")
    net.op("SliceChannel", "split", [data], {"num_outputs": "3"})
    net.op("elemwise_sub", "difference", [1, 1])
    net.nodes[-1]["inputs"] = [[1, 2, 0], [1, 0, 0]]
    symbol = net.symbol() | {"heads": [[2, 0, 0], [1, 1, 0]]}
    graph = translate(parse_symbol(json.dumps(symbol).encode(), "s"), {}, {"data": (N, *ROW)}, "s")
    assert graph.outputs == ["difference_output", "split_output1"]
    images = small_reference(small_network())["data"]
    difference, middle = run_all(graph, images)
    np.testing.assert_array_equal(difference, images[:, 2:] - images[:, :1])
    np.testing.assert_array_equal(middle, images[:, 1:2])
    symbol["nodes"][2]["inputs"][0][1] = 3
    with pytest.raises(UnsupportedOpError, match="uses output 3 of SliceChannel 'split', which cannot be exported"):
        translate(parse_symbol(json.dumps(symbol).encode(), "s"), {}, {"data": (N, *ROW)}, "s")


def test_second_output_of_a_node_is_refused() -> None:
    document, params = small_parts()
    document["nodes"][-1]["inputs"][0][1] = 1
    with pytest.raises(UnsupportedOpError, match="uses output 1 of FullyConnected 'fc'"):
        translate_document(document, params)
    document["nodes"][-1]["inputs"][0][1] = 0
    with pytest.raises(UnsupportedOpError, match="uses output 2 of L2Normalization 'unit'"):
        translate_document(document | {"heads": [[len(document["nodes"]) - 1, 2, 0]]}, params)


def test_tensor_of_more_than_a_gibibyte_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    document, params = small_parts()
    document["nodes"][3]["attrs"]["pad"] = "(99999, 99999)"
    with pytest.raises(MalformedModelError, match=r"Conv 'conv1': its output for one image would have the shape"):
        translate_document(document, params)
    monkeypatch.setattr(graph_module, "MAX_ROW_ELEMENTS", 399)
    with pytest.raises(MalformedModelError, match=r"\(4, 10, 10\)"):
        translate_net(small_network(), ROW)


def damages(document: dict[str, Any]) -> Any:
    """Symbols with one attribute or one input changed."""
    for index, node in enumerate(document["nodes"]):
        for name in node.get("attrs", {}):
            for text in JUNK_TEXTS:
                damaged = copy.deepcopy(document)
                damaged["nodes"][index]["attrs"][name] = text
                yield damaged
        for position in range(len(node["inputs"])):
            for target in range(index):
                damaged = copy.deepcopy(document)
                damaged["nodes"][index]["inputs"][position][0] = target
                yield damaged


@pytest.mark.slow
def test_damaged_symbol_gives_a_valid_model_or_a_message() -> None:
    document, params = small_parts()
    valid = total = 0
    for damaged in damages(document):
        total += 1
        with contextlib.suppress(LiftedError):
            graph = translate_document(damaged, params)
            build_model(graph, 17)  # ONNX's checker and strict shape inference pass
            valid += 1
    assert 10 < valid < total - 100


@pytest.mark.parametrize(
    ("op", "attrs"), [("Embedding", {"input_dim": "3", "output_dim": "2"}), ("one_hot", {"depth": "2"})]
)
def test_indices_of_a_half_network_stay_single(op: str, attrs: dict[str, str]) -> None:
    """Float16 could not count a vocabulary."""
    net = Net()
    table = [net.variable("table", np.ones((3, 2), np.float16))] if op == "Embedding" else []
    words = net.op(op, "words", [net.variable("data"), *table], attrs | ({} if table else {"dtype": "float16"}))
    masked = net.op(
        "SequenceMask", "masked", [words, net.variable("lengths")], {"use_sequence_length": "1", "axis": "1"}
    )
    weight = net.variable("weight", np.ones((4, 2), np.float16))
    net.op("FullyConnected", "dense", [masked, weight], {"num_hidden": "4", "no_bias": "1", "flatten": "0"})
    symbol = parse_symbol(net.symbol_bytes(), "net")
    graph = translate(symbol, net.params, {"data": (N, 5), "lengths": (N,)}, "net")
    assert {tensor.name: str(tensor.dtype) for tensor in graph.inputs} == {"data": "float32", "lengths": "float32"}
    assert graph.tensors[graph.outputs[0]].dtype == np.float16
