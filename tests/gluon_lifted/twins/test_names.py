import doctest
import importlib
import pkgutil

import pytest

from gluon_lifted import twins
from gluon_lifted.twins.names import older_twin_name, twin_name
from gluon_lifted.twins.twin_networks import TWINS

MODULES = [f"{twins.__name__}.{module.name}" for module in pkgutil.iter_modules(twins.__path__)]


@pytest.mark.parametrize("module", MODULES)
def test_examples(module):
    assert doctest.testmod(importlib.import_module(module)).failed == 0


def test_parameters_without_a_layer_keep_their_name():
    assert twin_name("mean_residual", "vgg11") == "mean_residual"
    assert twin_name("embedding_bias", "vgg11") == "embedding.bias"


@pytest.mark.parametrize(
    ("parameter", "backbone"),
    [
        ("features.1.weight", "alexnet"), ("features.7.body.0.weight", "resnext50_32x4d"),
        ("features.2.weight", "densenet121"),
        ("features.3.0.1.weight", "squeezenet1.0"), ("features.3.out.6.weight", "mobilenetv2_1.0"),
        ("features.4.se.conv1.weight", "mobilenetv3_large"), ("features.6.0.weight", "inceptionv3"),
        ("conv1.2.weight", "googlenet_bn"), ("features.10.0.body.2.weight", "senet_154"),
    ],
)  # fmt: skip
def test_parameters_of_another_network_are_refused(parameter, backbone):
    with pytest.raises(ValueError, match=f"{backbone} has no parameter '{parameter}'"):
        twin_name(parameter, backbone)


def test_only_densenets_have_older_names():
    name = "features.denseblock1.denselayer1.conv2.weight"
    assert older_twin_name(name, "densenet161") == "features.denseblock1.denselayer1.conv.2.weight"
    assert older_twin_name("features.norm5.weight", "densenet161") == "features.norm5.weight"
    assert older_twin_name(name, "vgg16") == name


def test_a_twin_is_printed_as_library_and_architecture():
    assert [str(twin) for twin in TWINS["resnet18_v1b"]] == ["torchvision resnet18", "timm resnet18"]
