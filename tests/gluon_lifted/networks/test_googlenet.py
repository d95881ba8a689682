"""GoogLeNet against the published table and a NumPy network that is written layer by layer, as slow as it is plain."""

import numpy as np
import pytest

pytest.importorskip("gluon_lifted.mx", exc_type=ImportError, reason="MXNet is not installed")

from gluon_lifted.mx import autograd, mx, nd
from gluon_lifted.networks.googlenet import (
    INCEPTION,
    LRN,
    GoogLeNet,
    Inception,
    caffe_name,
)

# Szegedy et al. 2015, Table 1, column "output size" (channels) and BVLC's layer names.
OUTPUT_CHANNELS = {
    "3a": 256, "3b": 480, "4a": 512, "4b": 512, "4c": 512, "4d": 528, "4e": 832, "5a": 832, "5b": 1024,
}  # fmt: skip


@pytest.fixture(scope="module")
def net():
    mx.random.seed(0)
    network = GoogLeNet()
    network.initialize(mx.init.Xavier())
    network(nd.zeros((1, 3, 64, 64)))
    return network


def test_parameters_are_those_of_the_caffe_model(net):
    names = [caffe_name(name.removeprefix(net.prefix)) for name in net.collect_params()]
    layers = ["conv1/7x7_s2", "conv2/3x3_reduce", "conv2/3x3"]
    for block in OUTPUT_CHANNELS:
        layers += [
            f"inception_{block}/{layer}" for layer in ("1x1", "3x3_reduce", "3x3", "5x5_reduce", "5x5", "pool_proj")
        ]
    assert sorted(names) == sorted((layer, blob) for layer in layers for blob in (0, 1))
    assert len(layers) == 57
    # bvlc_googlenet has 6,998,552 parameters with loss3/classifier's 1024 x 1000 + 1000 and no auxiliary heads
    assert sum(parameter.data().size for parameter in net.collect_params().values()) == 6_998_552 - 1_025_000


def test_shapes_are_those_of_table_1(net):
    assert {
        name[-2:]: w.conv1x1 + w.conv3x3 + w.conv5x5 + w.pool_proj for name, w in INCEPTION.items()
    } == OUTPUT_CHANNELS
    symbol = net(mx.sym.var("data"))
    internals = symbol.get_internals()
    shapes = dict(zip(internals.list_outputs(), internals.infer_shape(data=(1, 3, 224, 224))[1], strict=True))
    for layer, size in {
        "conv1_7x7_s2_relu_fwd": (64, 112), "pool1_3x3_s2_fwd": (64, 56), "conv2_3x3_relu_fwd": (192, 56),
        "pool2_3x3_s2_fwd": (192, 28), "inception_3b_output": (480, 28), "inception_4e_output": (832, 14),
        "inception_5b_output": (1024, 7),
    }.items():  # fmt: skip
        assert shapes[f"googlenet_{layer}_output"] == (1, size[0], size[1], size[1]), layer
    assert symbol.infer_shape(data=(2, 3, 227, 227))[1] == [(2, 1024, 1, 1)]


def test_eager_and_hybrid_are_identical(net):
    images = nd.random.normal(shape=(2, 3, 75, 64))
    eager = net(images).asnumpy()
    net.hybridize(static_alloc=True, static_shape=True)
    hybrid = net(images).asnumpy()
    net.hybridize(active=False)
    np.testing.assert_array_equal(eager, hybrid)


def test_lrn_by_loops():
    x = np.random.default_rng(0).normal(0, 30, (2, 9, 3, 2)).astype(np.float32)
    expected = np.empty(x.shape)
    for channel in range(9):
        window = x[:, max(0, channel - 2) : channel + 3].astype(float)
        expected[:, channel] = x[:, channel] / (1 + 1e-4 / 5 * (window**2).sum(axis=1)) ** 0.75
    np.testing.assert_allclose(LRN()(nd.array(x)).asnumpy(), expected, rtol=1e-6)


def conv_by_loops(x, weight, bias, pad):
    x = np.pad(x, ((0, 0), (0, 0), (pad, pad), (pad, pad)))
    k = weight.shape[2]
    height, width = x.shape[2] - k + 1, x.shape[3] - k + 1
    y = np.empty((len(x), len(weight), height, width))
    for row in range(height):
        for column in range(width):
            y[:, :, row, column] = np.tensordot(
                x[:, :, row : row + k, column : column + k], weight, ([1, 2, 3], [1, 2, 3])
            )
    return np.maximum(y + bias[:, None, None], 0)


def test_inception_block_by_loops():
    block = Inception(INCEPTION["inception_3a"], prefix="inception_3a_")
    block.initialize(mx.init.Xavier(magnitude=3))
    x = np.random.default_rng(1).normal(size=(1, 8, 5, 4))
    output = block(nd.array(x)).asnumpy()
    rng = np.random.default_rng(2)
    for name, parameter in block.collect_params().items():
        if name.endswith("bias"):
            parameter.set_data(nd.array(rng.normal(size=parameter.shape)))
    output = block(nd.array(x)).asnumpy()

    weights = {
        name.removeprefix("inception_3a_"): p.data().asnumpy().astype(float)
        for name, p in block.collect_params().items()
    }

    def conv(y, name, pad):
        return conv_by_loops(y, weights[f"{name}_weight"], weights[f"{name}_bias"], pad)

    padded = np.pad(x, ((0, 0), (0, 0), (1, 1), (1, 1)), constant_values=-np.inf)
    pooled = np.max([padded[:, :, r : r + 5, c : c + 4] for r in range(3) for c in range(3)], axis=0)
    expected = np.concatenate(
        [
            conv(x, "1x1", 0),
            conv(conv(x, "3x3_reduce", 0), "3x3", 1),
            conv(conv(x, "5x5_reduce", 0), "5x5", 2),
            conv(pooled, "pool_proj", 0),
        ],
        axis=1,
    )
    np.testing.assert_allclose(output, expected, rtol=1e-4, atol=1e-5)


def test_caffe_name_refuses_other_names():
    with pytest.raises(KeyError, match="not a parameter of GoogLeNet"):
        caffe_name("embedding_weight")


def _lrn_as_a_product(x):
    """LRN out of operators that have no oneDNN kernels of their own: the sum over channels is a banded matrix."""
    places = np.arange(x.shape[1])
    band = nd.array(abs(places[:, None] - places) <= 2)
    squares = nd.transpose(x * x, axes=(0, 2, 3, 1))
    return x / (1 + 1e-4 / 5 * nd.transpose(nd.dot(squares, band), axes=(0, 3, 1, 2))) ** 0.75


@pytest.mark.parametrize("hybrid", [False, True])
@pytest.mark.slow
def test_gradients_are_those_of_plain_operators(monkeypatch, hybrid):
    """MXNet's own LRN is wrong here, and so is everything below it, with nothing between it and a convolution."""
    network = GoogLeNet()
    network.initialize(mx.init.Xavier(rnd_type="gaussian", factor_type="in", magnitude=2))
    images = nd.random.normal(scale=60, shape=(4, 3, 64, 64))  # pixels less their mean, as Caffe's
    heads = nd.random.normal(shape=(4, 1024, 1, 1))

    def gradients():
        with autograd.record():
            out = network(images)
        out.backward(heads)
        return {name: parameter.grad().asnumpy() for name, parameter in network.collect_params().items()}

    network(images)
    if hybrid:
        network.hybridize(static_alloc=True, static_shape=True)
    actual = gradients()
    network.hybridize(active=False)
    monkeypatch.setattr(LRN, "hybrid_forward", lambda self, F, x: _lrn_as_a_product(x))
    for name, expected in gradients().items():
        error = np.linalg.norm(actual[name] - expected) / np.linalg.norm(expected)
        assert error < 0.05, name  # a rounding here and there turns a ReLU on or off; the fault makes it 0.4 to 0.8
