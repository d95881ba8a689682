from __future__ import annotations

import json

import numpy as np
import pytest

from export.errors import MalformedModelError
from export.graph.shape import N
from export.passes.optimize import optimize
from export.reader.symbol import parse_symbol
from export.translate import translate
from tests.export import oracles
from tests.export.mxnet_files import Net
from tests.export.ops_runner import (
    inferred_rows,
    rows,
    run_all,
    run_onnx,
    translate_net,
)

ROW = (2, 5, 4)
RNG = np.random.default_rng(8)
IMAGES = RNG.normal(size=(3, *ROW)).astype(np.float32)


class ConvNet(Net):
    """A network of convolutions and batch norms whose parameters can be shared."""

    def shared(self, name: str, array: np.ndarray) -> int:
        known = [index for index, node in enumerate(self.nodes) if node["name"] == name]
        return known[0] if known else self.variable(name, array.astype(np.float32))

    def conv(self, name: str, source: int, weight: str, bias: str | None) -> int:
        inputs = [source, self.shared(weight, RNG.normal(size=(3, 2, 2, 2)))]
        inputs += [self.shared(bias, RNG.normal(size=3))] if bias else []
        return self.op(
            "Convolution", name, inputs, {"kernel": "(2, 2)", "num_filter": "3", "no_bias": str(bias is None)}
        )

    def norm(self, name: str, source: int, fix_gamma: bool = False, channels: int = 3) -> int:
        parts = ("gamma", "beta", "moving_mean")
        inputs = [self.shared(f"{name}_{part}", RNG.normal(size=channels)) for part in parts]
        inputs.append(self.shared(f"{name}_moving_var", RNG.uniform(0.2, 3, channels)))
        return self.op("BatchNorm", name, [source, *inputs], {"fix_gamma": str(fix_gamma), "eps": "0.01"})

    def answer(self, weight: str, bias: str | None, norm: str, fix_gamma: bool = False) -> np.ndarray:
        conv = oracles.convolution(IMAGES, self.params[weight], self.params[bias] if bias else None)
        return self.normed(norm, conv, fix_gamma)

    def normed(self, norm: str, images: np.ndarray, fix_gamma: bool = False) -> np.ndarray:
        statistics = [self.params[f"{norm}_{part}"] for part in ("gamma", "beta", "moving_mean", "moving_var")]
        return oracles.batch_norm(images, *statistics, eps=0.01, fix_gamma=fix_gamma)


@pytest.mark.parametrize("bias", [None, "bias"])
@pytest.mark.parametrize("fix_gamma", [False, True])
def test_batch_norm_becomes_part_of_the_convolution(bias: str | None, fix_gamma: bool) -> None:
    net = ConvNet()
    net.op("Flatten", "flat", [net.norm("bn", net.conv("conv", net.variable("data"), "weight", bias), fix_gamma)])
    graph = translate_net(net, ROW)
    assert [(node.op, node.name, node.outputs) for node in graph.nodes] == (
        [("Conv", "conv", ("bn",)), ("Flatten", "flat", ("embedding",))]
    )
    assert set(graph.constants) == {"weight", bias or "bn_beta"}
    assert inferred_rows(graph) == rows(graph)
    expected = net.answer("weight", bias, "bn", fix_gamma).reshape(3, -1)
    np.testing.assert_allclose(run_onnx(graph, IMAGES), expected, atol=1e-5)


def test_convolution_that_others_use_is_kept() -> None:
    net = ConvNet()
    conv = net.conv("conv", net.variable("data"), "weight", "bias")
    net.op("Flatten", "flat", [net.op("elemwise_add", "sum", [net.norm("bn", conv), conv])])
    graph = translate_net(net, ROW)
    assert [node.op for node in graph.nodes] == ["Conv", "BatchNormalization", "Add", "Flatten"]
    expected = net.answer("weight", "bias", "bn") + oracles.convolution(
        IMAGES, net.params["weight"], net.params["bias"]
    )
    np.testing.assert_allclose(run_onnx(graph, IMAGES), expected.reshape(3, -1), atol=1e-5)


def test_shared_parameters_are_not_overwritten() -> None:
    net = ConvNet()
    data = net.variable("data")
    first = net.norm("bn1", net.conv("conv1", data, "weight", "bias"))
    second = net.norm("bn2", net.conv("conv2", data, "weight", "bias"))
    plain = net.conv("conv3", data, "weight", "bias")
    net.op("Flatten", "flat", [net.op("Concat", "all", [first, second, plain], {"num_args": "3"})])
    graph = translate_net(net, ROW)
    assert [node.op for node in graph.nodes] == ["Conv", "Conv", "Conv", "Concat", "Flatten"]
    parts = [net.answer("weight", "bias", "bn1"), net.answer("weight", "bias", "bn2")]
    parts.append(oracles.convolution(IMAGES, net.params["weight"], net.params["bias"]))
    np.testing.assert_allclose(run_onnx(graph, IMAGES), np.concatenate(parts, 1).reshape(3, -1), atol=1e-5)


def test_batch_norm_of_the_images_is_kept() -> None:
    net = Net()
    parts = [net.variable("data")]
    parts += [net.variable(f"bn_{name}", np.ones(2, np.float32)) for name in ("gamma", "beta", "mean", "var")]
    net.op("Flatten", "flat", [net.op("BatchNorm", "bn", parts)])
    assert [node.op for node in translate_net(net, ROW).nodes] == ["BatchNormalization", "Flatten"]


@pytest.mark.parametrize(("name", "value"), [("weight", np.nan), ("weight", np.inf), ("norm_gamma", 3e38)])
def test_numbers_beyond_float32_are_refused(name: str, value: float) -> None:
    net = ConvNet()
    net.op("Flatten", "flat", [net.norm("norm", net.conv("conv", net.variable("data"), "weight", None))])
    net.params["weight"] = net.params["weight"] + np.float32(2)
    net.params[name] = np.full_like(net.params[name], value)
    with pytest.raises(MalformedModelError, match="'norm' cannot be folded into 'conv', because the result exceeds"):
        translate_net(net, ROW)


def test_convolution_that_is_an_output_is_kept() -> None:
    net = ConvNet()
    conv = net.conv("conv", net.variable("data"), "weight", "bias")
    norm = net.norm("bn", conv)
    symbol = net.symbol() | {"heads": [[conv, 0, 0], [norm, 0, 0]]}
    graph = optimize(
        translate(parse_symbol(json.dumps(symbol).encode(), "net"), net.params, {"data": (N, *ROW)}, "net")
    )
    assert [node.op for node in graph.nodes] == ["Conv", "BatchNormalization"]
    plain, normed = run_all(graph, IMAGES)
    np.testing.assert_allclose(plain, oracles.convolution(IMAGES, net.params["weight"], net.params["bias"]), atol=1e-5)
    np.testing.assert_allclose(normed, net.answer("weight", "bias", "bn"), atol=1e-5)


@pytest.mark.parametrize("bias", [None, "bias"])
@pytest.mark.parametrize("groups", [1, 2])
def test_batch_norm_becomes_part_of_a_deconvolution(bias: str | None, groups: int) -> None:
    net = ConvNet()
    inputs = [net.variable("data"), net.shared("weight", RNG.normal(size=(2, 4 // groups, 2, 2)))]
    inputs += [net.shared(bias, RNG.normal(size=4))] if bias else []
    attrs = {"kernel": "(2, 2)", "num_filter": "4", "num_group": str(groups), "no_bias": str(bias is None)}
    norm = net.norm("bn", net.op("Deconvolution", "deconv", inputs, attrs), channels=4)
    net.op("Flatten", "flat", [norm])
    graph = translate_net(net, ROW)
    assert [(node.op, node.name) for node in graph.nodes] == [("ConvTranspose", "deconv"), ("Flatten", "flat")]
    layer = oracles.deconvolution(IMAGES, net.params["weight"], net.params[bias] if bias else None, groups=groups)
    np.testing.assert_allclose(run_onnx(graph, IMAGES), net.normed("bn", layer).reshape(3, -1), atol=1e-5)


def test_batch_norms_around_a_fully_connected_layer_become_part_of_it() -> None:
    """As face recognition networks end: batch norm, dropout, flatten, dense, batch norm."""
    net = ConvNet()
    first = net.norm("bn1", net.variable("data"), channels=2)
    dropped = net.op("Dropout", "drop", [first], {"p": "0.4"})
    weight, bias = net.shared("weight", RNG.normal(size=(3, 40))), net.shared("bias", RNG.normal(size=3))
    dense = net.op("FullyConnected", "fc", [dropped, weight, bias], {"num_hidden": "3"})
    net.norm("bn2", dense)
    graph = translate_net(net, ROW)
    assert [(node.op, node.name) for node in graph.nodes] == [("Flatten", "fc/flatten"), ("Gemm", "fc")]
    dense_answer = oracles.fully_connected(net.normed("bn1", IMAGES), net.params["weight"], net.params["bias"])
    expected = net.normed("bn2", dense_answer[:, :, None, None]).reshape(3, -1)
    np.testing.assert_allclose(run_onnx(graph, IMAGES), expected, atol=1e-4)


@pytest.mark.parametrize("bias", [None, "bias"])
@pytest.mark.parametrize("groups", [1, 2])
def test_batch_norm_before_a_convolution_becomes_part_of_it(bias: str | None, groups: int) -> None:
    net = ConvNet()
    norm = net.norm("bn", net.variable("data"), channels=2)
    inputs = [norm, net.shared("weight", RNG.normal(size=(4, 2 // groups, 2, 2)))]
    inputs += [net.shared(bias, RNG.normal(size=4))] if bias else []
    attrs = {"kernel": "(2, 2)", "num_filter": "4", "num_group": str(groups), "no_bias": str(bias is None)}
    net.op("Flatten", "flat", [net.op("Convolution", "conv", inputs, attrs)])
    graph = translate_net(net, ROW)
    assert [(node.op, node.name) for node in graph.nodes] == [("Conv", "conv"), ("Flatten", "flat")]
    expected = oracles.convolution(
        net.normed("bn", IMAGES), net.params["weight"], net.params[bias] if bias else None, groups=groups
    )
    np.testing.assert_allclose(run_onnx(graph, IMAGES), expected.reshape(3, -1), atol=1e-4)


def test_batch_norm_before_padding_is_kept() -> None:
    net = ConvNet()
    norm = net.norm("bn", net.variable("data"), channels=2)
    attrs = {"kernel": "(2, 2)", "pad": "(1, 1)", "num_filter": "3", "no_bias": "True"}
    conv = net.op("Convolution", "conv", [norm, net.shared("weight", RNG.normal(size=(3, 2, 2, 2)))], attrs)
    net.op("Flatten", "flat", [conv])
    graph = translate_net(net, ROW)
    assert [node.op for node in graph.nodes] == ["BatchNormalization", "Conv", "Flatten"]
    expected = oracles.convolution(net.normed("bn", IMAGES), net.params["weight"], pad=(1, 1)).reshape(3, -1)
    np.testing.assert_allclose(run_onnx(graph, IMAGES), expected, atol=1e-5)


def test_batch_norm_that_others_take_is_kept() -> None:
    net = ConvNet()
    norm = net.norm("bn", net.variable("data"), channels=2)
    parts = [
        net.op("Flatten", f"flat_{name}", [node]) for name, node in (("n", norm), ("c", net.conv("c", norm, "w", None)))
    ]
    net.op("Concat", "all", parts, {"num_args": "2"})
    assert "BatchNormalization" in [node.op for node in translate_net(net, ROW).nodes]


def test_batch_norm_is_kept_apart_where_the_product_exceeds_half() -> None:
    net = Net()
    weight = net.variable("weight", np.full((1, 3, 1, 1), 1e-3, np.float16))
    conv = net.op(
        "Convolution", "conv", [net.variable("data"), weight], {"kernel": "(1, 1)", "num_filter": "1", "no_bias": "1"}
    )
    values = {"gamma": 1, "beta": 0, "mean": 0, "var": 1e-12}
    parts = [net.variable(f"bn_{name}", np.float32([value])) for name, value in values.items()]
    net.op("Flatten", "flat", [net.op("BatchNorm", "bn", [conv, *parts], {"eps": "1e-20", "fix_gamma": "False"})])
    net.params["bn_mean"] = np.float32([3e-6])
    graph = translate_net(net, (3, 5, 4))
    assert "BatchNormalization" not in [node.op for node in graph.nodes]  # 1e-3 * 1e6 fits
    net.params["weight"] = np.full((1, 3, 1, 1), 1, np.float16)
    graph = translate_net(net, (3, 5, 4))
    assert "BatchNormalization" in [node.op for node in graph.nodes]
