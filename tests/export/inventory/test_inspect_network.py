from __future__ import annotations

import contextlib
import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from export import inspect_network
from export.errors import MalformedModelError
from gluon_lifted.errors import LiftedError
from tests.export.mxnet_files import Net

if TYPE_CHECKING:
    from pathlib import Path

    from export import NetworkInventory

STRIDE = 16  # 112 px: 7 x 7 positions


def weight(*shape: int) -> np.ndarray:
    return np.ones(shape, np.float32)


def batch_norm(net: Net, name: str, data: int, channels: int, mean: float = 0.0) -> int:
    arrays = {"gamma": 1, "beta": 0, "moving_mean": mean, "moving_var": 1}
    inputs = [net.variable(f"{name}_{key}", np.full(channels, value, np.float32)) for key, value in arrays.items()]
    return net.op("BatchNorm", name, [data, *inputs])


def convolution(net: Net, name: str, data: int, channels: int, filters: int) -> int:
    attrs = {"kernel": "(16, 16)", "stride": "(16, 16)", "num_filter": str(filters), "no_bias": "True"}
    return net.op(
        "Convolution", name, [data, net.variable(f"{name}_weight", weight(filters, channels, STRIDE, STRIDE))], attrs
    )


def dense(net: Net, name: str, data: int, inputs: int, outputs: int) -> int:
    parameters = [
        net.variable(f"{name}_weight", weight(outputs, inputs)),
        net.variable(f"{name}_bias", weight(outputs)),
    ]
    return net.op("FullyConnected", name, [data, *parameters], {"num_hidden": str(outputs)})


def face_network() -> Net:
    """As InsightFace trains: scaling inside, the embedding fc1, a margin head of an operator that is not translated."""
    net = Net()
    node = net.op("_copy", "id", [net.variable("data")])
    node = net.op("_minus_scalar", "_minusscalar0", [node], {"scalar": "127.5"})
    node = net.op("_mul_scalar", "_mulscalar0", [node], {"scalar": "0.0078125"})
    node = net.op("Flatten", "flat", [convolution(net, "conv0", node, 3, 2)])
    fc1 = batch_norm(net, "fc1", dense(net, "pre_fc1", node, 2 * 7 * 7, 8), 8)
    node = net.op("L2Normalization", "fc1n", [fc1])
    node = net.op("_mul_scalar", "scaled", [node], {"scalar": "64"})
    unit = net.op("L2Normalization", "fc7_unit", [net.variable("fc7_weight", weight(10, 8))])
    node = net.op("FullyConnected", "fc7", [node, unit], {"num_hidden": "10", "no_bias": "True"})
    node = net.op("Custom", "margin", [node])
    net.op("SoftmaxOutput", "softmax", [node, net.variable("softmax_label")])
    return net


def classifier(name: str = "resnetv1d0_", classes: int = 10) -> Net:
    net = Net()
    node = convolution(net, f"{name}conv0_fwd", net.variable("data"), 3, 4)
    node = net.op("Pooling", f"{name}pool0_fwd", [node], {"global_pool": "True", "kernel": "(1, 1)"})
    dense(net, f"{name}dense0_fwd", net.op("Dropout", f"{name}dropout0_fwd", [node]), 4, classes)
    return net


def inspect(net: Net, folder: Path, *, params: bool = True) -> NetworkInventory:
    (folder / "net-symbol.json").write_bytes(net.symbol_bytes())
    (folder / "net-0000.params").write_bytes(net.params_bytes())
    return inspect_network(folder / "net-symbol.json", folder / "net-0000.params" if params else None)


def test_face_network(tmp_path: Path) -> None:
    net = inspect(face_network(), tmp_path)
    assert net.mxnet_version == "1.9.1"
    assert net.operators == {
        **{"_mul_scalar": 2, "L2Normalization": 2, "FullyConnected": 2, "_copy": 1, "_minus_scalar": 1},
        **{"Convolution": 1, "Flatten": 1, "BatchNorm": 1, "Custom": 1, "SoftmaxOutput": 1},
    }
    assert list(net.operators.values()) == sorted(net.operators.values(), reverse=True)
    assert (net.without_translator, net.in_the_way) == ({"Custom": "margin"}, ())
    assert (net.inputs, net.labels, net.missing_parameters) == (("data",), ("softmax_label",), ())
    assert net.num_parameters == sum(array.size for array in face_network().params.values())
    assert [(output.node, output.op) for output in net.outputs] == [("softmax", "SoftmaxOutput")]
    assert net.embedding is not None
    assert (net.embedding.name, net.embedding.is_output, net.dim) == ("fc1", False, 8)
    assert net.preprocessing is not None
    assert net.preprocessing.value == "insightface"
    assert (net.image.shape, net.problem) == ((3, 112, 112), None)


def test_without_parameters_names_decide(tmp_path: Path) -> None:
    known, guessed = inspect(face_network(), tmp_path), inspect(face_network(), tmp_path, params=False)
    assert (guessed.inputs, guessed.labels) == (known.inputs, known.labels)
    assert (guessed.num_parameters, guessed.dim, guessed.problem) == (None, None, None)
    assert (guessed.embedding, guessed.preprocessing, guessed.in_the_way) == (known.embedding, known.preprocessing, ())
    assert (guessed.image.shape, guessed.image.reason) == ((3, 112, 112), "guessed")


def test_parameters_missing_in_the_file_are_no_inputs(tmp_path: Path) -> None:
    net = face_network()
    del net.params["conv0_weight"]
    inventory = inspect(net, tmp_path)
    assert (inventory.inputs, inventory.missing_parameters) == (("data",), ("conv0_weight",))
    assert inventory.problem is not None
    assert "the .params file lacks 1 of the network's parameters: 'conv0_weight'" in inventory.problem


def test_inputs_are_known_with_parameters_whatever_their_names(tmp_path: Path) -> None:
    net = classifier()
    net.nodes[0]["name"] = "pixels"
    net.params["strange"] = net.params.pop("resnetv1d0_conv0_fwd_weight")
    next(node for node in net.nodes if node["name"] == "resnetv1d0_conv0_fwd_weight")["name"] = "strange"
    assert inspect(net, tmp_path).inputs == ("pixels",)
    assert inspect(net, tmp_path, params=False).inputs == ("pixels", "strange")


def test_classifier_is_cut_before_its_last_layer(tmp_path: Path) -> None:
    inventory = inspect(classifier(), tmp_path)
    assert inventory.embedding is not None
    assert (inventory.embedding.name, inventory.dim) == ("resnetv1d0_pool0_fwd", 4)
    assert inventory.preprocessing is not None
    assert inventory.preprocessing.value == "gluoncv"
    assert inventory.image.shape == (3, 224, 224)


@pytest.mark.parametrize(("name", "classes"), [("net_", 128), ("embed_", 10)])
def test_embedding_layer_at_the_end_is_not_cut_off(tmp_path: Path, name: str, classes: int) -> None:
    inventory = inspect(classifier(name, classes), tmp_path)
    assert inventory.embedding is not None
    assert (inventory.embedding.name, inventory.embedding.is_output) == (f"{name}dense0_fwd", True)
    assert (inventory.dim, inventory.preprocessing) == (classes, None)


@pytest.mark.parametrize(("pooled", "expected"), [(True, "pool"), (False, None)])
def test_convolution_as_the_classifier(tmp_path: Path, pooled: bool, expected: str | None) -> None:
    net = Net()
    node = convolution(net, "conv", net.variable("data"), 3, 4)
    if pooled:
        node = net.op("Pooling", "pool", [node], {"global_pool": "True", "kernel": "(1, 1)"})
    scores = [node, net.variable("pred_weight", weight(10, 4, 1, 1)), net.variable("pred_bias", weight(10))]
    node = net.op("Convolution", "pred", scores, {"kernel": "(1, 1)", "num_filter": "10"})
    net.op("Flatten", "flat", [net.op("Pooling", "last", [node], {"global_pool": "True", "kernel": "(1, 1)"})])
    embedding = inspect(net, tmp_path).embedding
    assert (embedding and embedding.name) == expected


@pytest.mark.parametrize(
    ("mean", "name", "expected"), [(120, "bn", "raw"), (0.1, "bn_data", "gluoncv"), (0, "bn_data", "raw")]
)
def test_batch_norm_of_the_images_measured_what_they_are(tmp_path: Path, mean: float, name: str, expected: str) -> None:
    net = Net()
    node = convolution(net, "conv0", batch_norm(net, name, net.variable("data"), 3, mean), 3, 4)
    dense(net, "fc1", net.op("Flatten", "flatten0", [node]), 4 * 14 * 14, 10)
    inventory = inspect(net, tmp_path)
    assert inventory.preprocessing is not None
    assert inventory.preprocessing.value == expected
    assert inventory.embedding is not None
    assert inventory.embedding.name == "flatten0"


def test_scaling_of_another_kind_in_the_network(tmp_path: Path) -> None:
    net = Net()
    node = net.op("_div_scalar", "scaled", [net.variable("data")], {"scalar": "255"})
    convolution(net, "conv0", node, 3, 4)
    preprocessing = inspect(net, tmp_path).preprocessing
    assert preprocessing is not None
    assert preprocessing.value == "raw"


def test_declared_shape_is_preferred(tmp_path: Path) -> None:
    net = classifier()
    net.nodes[0]["attrs"] = {"__shape__": "(0, 3, 96, 128)"}
    assert inspect(net, tmp_path).image.shape == (3, 96, 128)
    assert inspect(net, tmp_path, params=False).image.shape == (3, 96, 128)


@pytest.mark.parametrize("shape", ["(0, 3, 0, 128)", "(0, -1, 3, 96, 128)", "(3, 96, 128)", "x", "None"])
def test_shape_that_is_declared_in_part_is_not_used(tmp_path: Path, shape: str) -> None:
    net = classifier()
    net.nodes[0]["attrs"] = {"__shape__": shape}
    assert inspect(net, tmp_path, params=False).image.reason == "guessed"


@pytest.mark.parametrize("classes", [10, 32])
def test_shape_and_channels_are_those_that_fit_the_parameters(tmp_path: Path, classes: int) -> None:
    net = Net()
    node = net.op("Flatten", "flat", [convolution(net, "conv", net.variable("data"), 1, 2)])
    dense(net, "fc", node, 2 * 4 * 4, classes)
    assert inspect(net, tmp_path).image.shape == (1, 64, 64)


def test_operator_in_the_way_is_named(tmp_path: Path) -> None:
    net = face_network()
    next(node for node in net.nodes if node["name"] == "flat")["op"] = "Strange"
    inventory = inspect(net, tmp_path)
    assert inventory.without_translator == {"Custom": "margin", "Strange": "flat"}
    assert inventory.in_the_way == ("Strange",)
    assert inventory.problem is not None
    assert "Strange x1" in inventory.problem
    assert inspect(net, tmp_path, params=False).in_the_way == ("Strange",)


@pytest.mark.parametrize(
    ("attrs", "version"),
    [
        ({"mxnet_version": ["int", 10500]}, "1.5.0"),
        ({"mxnet_version": ["int", 905]}, "0.9.5"),
        ({"mxnet_version": ["int", 10**12]}, "unknown"),
        ({}, "unknown"),
        ([], "unknown"),
    ],
)
def test_version(tmp_path: Path, attrs: Any, version: str) -> None:
    document = classifier().symbol() | {"attrs": attrs}
    (tmp_path / "s.json").write_text(json.dumps(document))
    assert inspect_network(tmp_path / "s.json").mxnet_version == version


def test_network_without_an_input_is_refused(tmp_path: Path) -> None:
    net = Net()
    net.op("Flatten", "flat", [net.variable("a_weight", weight(2, 2))])
    with pytest.raises(MalformedModelError, match="every variable is a parameter"):
        inspect(net, tmp_path)


JUNK = [None, "None", "1e999", "9" * 50, "²"]


def test_any_damage_gives_an_inventory_or_the_one_error(tmp_path: Path) -> None:
    """Inputs removed or attributes replaced at every node."""
    size = len(face_network().nodes)
    for index in range(size):
        for junk in JUNK:
            net = face_network()
            node = net.nodes[index]
            if junk is None:
                node["inputs"] = []
            else:
                node["attrs"] = {**dict.fromkeys(node.get("attrs", {}), junk), "__shape__": junk}
            with contextlib.suppress(LiftedError):
                inspect(net, tmp_path)
