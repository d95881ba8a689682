import json

import numpy as np
import pytest

pytest.importorskip("gluon_lifted.mx", exc_type=ImportError, reason="MXNet is not installed")

from gluon_lifted.mx import (
    HybridBlock,
    autograd,
    gluoncv_network,
    mx,
    nd,
    nn,
)
from gluon_lifted.networks.headless import accepts, headless


def classifier(*tail, multiplier=1.0):
    net = nn.HybridSequential()
    net.add(nn.Conv2D(6, 3, activation="relu"), nn.BatchNorm(gamma_initializer="zeros"), *tail)
    net[0].weight.lr_mult = multiplier
    return net


def body(net, images, layers):
    for layer in list(net)[:layers]:
        images = layer(images)
    return images.asnumpy()


@pytest.mark.parametrize(
    ("tail", "layers", "pooled"),
    [
        ([nn.GlobalAvgPool2D(), nn.Flatten(), nn.Dropout(0.5), nn.Dense(4)], 3, False),
        ([nn.AvgPool2D(7), nn.Dropout(0.5), nn.Dense(4)], 2, True),
        ([nn.Dropout(0.5), nn.Conv2D(4, 1), nn.Activation("relu"), nn.GlobalAvgPool2D(), nn.Flatten()], 2, True),
        ([nn.Dense(5, activation="relu"), nn.Dropout(0.5), nn.Dense(4)], 3, False),
    ],
    ids=["resnet", "old resnet", "squeezenet", "vgg"],
)
def test_what_is_left_is_the_network_before_its_classifier(tail, layers, pooled):
    net, images = classifier(*tail), nd.random.normal(shape=(2, 3, 32, 32))
    net.initialize(mx.init.Xavier())
    net(images)
    net[1].gamma.set_data(nd.arange(6))
    block = headless(net, side=32)
    block.initialize()
    for name, parameter in block.collect_params().items():
        parameter.set_data(net._collect_params_with_prefix()[name].data())
    expected = body(net, images, layers)
    if pooled:
        expected = expected.mean((2, 3), keepdims=True)
    np.testing.assert_allclose(block(images).asnumpy(), expected, rtol=1e-5, atol=1e-6)


def test_names_are_places_in_the_network_and_numbers_of_operators():
    blocks = [headless(gluoncv_network("resnet18_v1b")) for _ in range(2)]  # the second has other counters in GluonCV
    first, second = (json.loads(block(mx.sym.var("data")).tojson())["nodes"] for block in blocks)
    assert first == second
    names = [node["name"] for node in first]
    assert len(set(names)) == len(names)
    assert {"conv1.weight", "bn1.gamma", "layer1.0.conv1.weight", "convolution0", "batchnorm0"} <= set(names)
    assert not any("fc" in name for name in names)
    weights = set(gluoncv_network("resnet18_v1b")._collect_params_with_prefix())
    assert weights - set(blocks[0].collect_params()) == {"fc.weight", "fc.bias"}


def test_initializers_and_multipliers_are_the_networks_own():
    block = headless(classifier(nn.GlobalAvgPool2D(), nn.Dense(4), multiplier=3.0), side=32)
    parameters = block.collect_params()
    assert parameters["0.weight"].lr_mult == 3
    assert parameters["1.running_var"].grad_req == "null"
    block.initialize(mx.init.One())
    block(nd.zeros((1, 3, 32, 32)))
    assert {name: float(parameter.data().max().asscalar()) for name, parameter in parameters.items()} == {
        "0.weight": 1, "0.bias": 0, "1.gamma": 0, "1.beta": 0, "1.running_mean": 0, "1.running_var": 1,
    }  # fmt: skip


def test_two_instances_share_nothing():
    net = classifier(nn.GlobalAvgPool2D(), nn.Dense(4))
    first, second = headless(net, side=32), headless(net, side=32)
    for block in (first, second):
        block.initialize(mx.init.Xavier())
        block(nd.zeros((1, 3, 32, 32)))
    first.collect_params()["0.weight"].set_data(nd.zeros((6, 3, 3, 3)))
    assert abs(second.collect_params()["0.weight"].data().asnumpy()).max() > 0


class TwoHeads(HybridBlock):
    def __init__(self):
        super().__init__()
        self.body, self.head, self.other = nn.Conv2D(6, 3), nn.Dense(4), nn.Dense(3)

    def hybrid_forward(self, F, x):
        x = self.body(x)
        return self.head(F.contrib.AdaptiveAvgPooling2D(x)), self.other(x)


def test_hidden_layer_after_the_pooling_can_belong_to_the_classifier():
    tail = [nn.GlobalAvgPool2D(), nn.Conv2D(9, 1), nn.Activation("relu"), nn.Dropout(0.5), nn.Dense(4)]
    net, images = classifier(*tail), nd.random.normal(shape=(2, 3, 32, 32))
    assert "3.weight" in headless(net, side=32).collect_params()
    block = headless(net, side=32, classifier_layers=2)
    assert list(block.collect_params()) == [
        "0.weight",
        "0.bias",
        "1.gamma",
        "1.beta",
        "1.running_mean",
        "1.running_var",
    ]
    block.initialize()
    assert block(images).shape == (2, 6, 1, 1)


def test_first_of_several_outputs_counts():
    block = headless(TwoHeads(), side=32)
    assert list(block.collect_params()) == ["body.weight", "body.bias"]


def test_accepts_says_what_the_network_itself_says(capfd):
    net = classifier(nn.MaxPool2D(3), nn.Conv2D(2, 3), nn.GlobalAvgPool2D(), nn.Dense(4))
    block = headless(net, side=32)
    block.initialize(mx.init.Xavier())
    block(nd.zeros((1, 3, 32, 32)))
    for side in range(1, 14):
        try:
            works = min(block(nd.zeros((1, 3, side, side))).shape) > 0
            nd.waitall()
        except mx.MXNetError:
            works = False
        assert accepts(block, side) == works == (side >= 11), side
    assert capfd.readouterr().out == ""


def test_training_reaches_every_weight():
    block = headless(gluoncv_network("squeezenet1.1"))
    block.initialize(mx.init.Xavier())
    with autograd.record():
        block(nd.random.normal(shape=(2, 3, 48, 48))).square().sum().backward()
    assert all(abs(parameter.grad().asnumpy()).max() > 0 for parameter in block.collect_params().values())


def test_fixed_batch_norm_normalizes_training_batches_by_the_running_statistics():
    block = headless(classifier(nn.GlobalAvgPool2D(), nn.Dense(4)), side=32, fixed_batch_norm=True)
    block.initialize(mx.init.Xavier())
    parameters = block.collect_params()
    for name, value in (("1.gamma", 2.0), ("1.running_mean", 3.0), ("1.running_var", 5.0)):
        parameters[name].set_data(nd.full((6,), value))
    images = nd.random.normal(shape=(2, 3, 8, 8))
    with autograd.record():
        output = block(images)
    output.backward()
    np.testing.assert_allclose(output.asnumpy(), block(images).asnumpy(), rtol=1e-5, atol=1e-6)
    assert (parameters["1.running_mean"].data().asnumpy() == 3).all()
    assert (parameters["1.running_var"].data().asnumpy() == 5).all()
