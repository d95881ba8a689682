"""Names, shapes and outputs of the twins, as `benchmarks/twin_weights.py --record` saw them in torchvision and timm."""

import json
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("gluon_lifted.mx", exc_type=ImportError, reason="MXNet is not installed")

from gluon_lifted.mx import mx, nd
from gluon_lifted.networks.backbones import backbone_initializer, build_backbone
from gluon_lifted.networks.embedding_net import EmbeddingNet
from gluon_lifted.networks.pretrained.load_weights import load_weights
from gluon_lifted.networks.pretrained.names import twin_names
from gluon_lifted.twins.twin_networks import TWINS
from tests.gluon_lifted.twins.random_weights import digest_of_names, random_images, random_parameter

RECORDED = json.loads(Path(__file__).parents[2].joinpath("twins", "twins.json").read_text())
SMALL = ["googlenet_bn", "mobilenetv2_1.0", "mobilenetv3_small", "resnet18_v1b", "squeezenet1.1"]
MIDDLE = ["alexnet", "densenet121", "inceptionv3", "resnet50_v1c", "resnet50_v1d", "resnet50_v1s", "resnext50_32x4d",
          "se_resnext50_32x4d"]  # fmt: skip


def slow(backbones):
    return [pytest.param(backbone, marks=pytest.mark.slow) for backbone in backbones]


def twin_shapes(net, backbone, side):
    """{the twin's name: shape} of the backbone's parameters."""
    symbol = net.backbone(mx.sym.var("data"))
    arguments, _, states = symbol.infer_shape(data=(1, 3, side, side))
    shapes = dict(zip(symbol.list_arguments(), arguments, strict=True))
    shapes |= dict(zip(symbol.list_auxiliary_states(), states, strict=True))
    names = twin_names(net, backbone, set())
    return {names[ours]: shapes[ours] for ours in net.backbone.collect_params()}


@pytest.mark.parametrize("backbone", [*SMALL, *slow(name for name in TWINS if name not in SMALL)])
def test_names_and_shapes_are_the_twins(backbone):
    recorded = RECORDED[backbone]
    net = EmbeddingNet(build_backbone(backbone, recorded["side"]), 4)
    assert digest_of_names(twin_shapes(net, backbone, recorded["side"]).items()) == recorded["names"]
    assert twin_names(net, backbone, set())["embedding_weight"] == "embedding.weight"


@pytest.mark.parametrize("backbone", [*SMALL, *slow(MIDDLE)])
def test_output_is_the_twins(tmp_path, write_torch, backbone):
    recorded = RECORDED[backbone]
    net = EmbeddingNet(build_backbone(backbone, recorded["side"]), 4)
    net.initialize(backbone_initializer())
    shapes = twin_shapes(net, backbone, recorded["side"])
    state = {name: random_parameter(name, shape) for name, shape in shapes.items()}
    write_torch(tmp_path / "twin.pth", state | {"fc.bias": np.zeros(3, "f4"), "bn1.num_batches_tracked": np.array(1)})
    report = load_weights(net, str(tmp_path / "twin.pth"), backbone)
    assert report.skipped == ("bn1.num_batches_tracked", "fc.bias")
    output = net.backbone(nd.array(random_images(recorded["side"]))).asnumpy()[0].reshape(-1)
    step = len(output) // len(recorded["output"])
    actual = output[::step][: len(recorded["output"])]
    np.testing.assert_allclose(actual, recorded["output"], atol=1e-5 * np.abs(output).max(), rtol=0)


def test_older_names_of_densenets_are_read(tmp_path, write_torch):
    net = EmbeddingNet(build_backbone("densenet121", 64), 4)
    net.initialize(backbone_initializer())
    shapes = twin_shapes(net, "densenet121", 64)
    state = {}
    for name, shape in shapes.items():
        older = name
        for kind in ("norm", "conv"):  # the norm1 of a dense layer is norm.1 in files of 2017
            older = older.replace(f".{kind}1.", f".{kind}.1.").replace(f".{kind}2.", f".{kind}.2.")
        state[older] = random_parameter(older, shape)
    assert "features.denseblock3.denselayer9.norm.2.running_var" in state
    write_torch(tmp_path / "densenet121.pth", state)
    report = load_weights(net, str(tmp_path / "densenet121.pth"), "densenet121")
    assert (len(report.used), report.skipped) == (604, ())
