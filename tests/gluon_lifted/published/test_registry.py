import re

import pytest

from gluon_lifted.errors import ConfigError
from gluon_lifted.published.registry import (
    backbones_with_weights,
    first_weights,
    named_weights,
    published_weights,
)
from gluon_lifted.published.weights import HubFile, WebFile
from gluon_lifted.twins.twin_networks import TWINS

ALL = [weights for backbone in backbones_with_weights() for weights in published_weights(backbone)]


def test_every_twin_has_weights():
    assert sorted(backbones_with_weights()) == sorted([*TWINS, "googlenet"])


def test_names_and_addresses_are_distinct_and_well_formed():
    assert len({weights.source for weights in ALL}) == len(ALL) > 100
    for weights in ALL:
        assert weights.locations
        for location in weights.locations:
            assert location.url.startswith("https://")
            if isinstance(location, HubFile):
                assert location.repository == f"timm/{weights.name}"
                assert location.revision is None or re.fullmatch("[0-9a-f]{40}", location.revision)
            if location.sha256 is not None:
                assert re.fullmatch("[0-9a-f]{8}|[0-9a-f]{64}", location.sha256)


def test_a_name_in_the_cache_means_one_content():
    """torchvision's and timm's files share a folder."""
    hashes = {}
    for weights in ALL:
        for location in weights.locations:
            if isinstance(location, WebFile):
                assert hashes.setdefault(location.name, location.sha256) == location.sha256


def test_imagenet_takes_the_classic_recipe():
    def firsts(backbone):
        return [weights.source for weights in first_weights(backbone)]

    assert firsts("resnet50_v1b") == ["torchvision:resnet50.IMAGENET1K_V1", "timm:resnet50.gluon_in1k"]
    assert firsts("resnet50_v1d") == ["timm:resnet50d.gluon_in1k"]
    assert firsts("googlenet") == ["onnx:googlenet-9"]
    assert firsts("darknet53") == []


@pytest.mark.parametrize(
    ("backbone", "source", "expected"),
    [
        ("resnet50_v1b", "torchvision:resnet50.IMAGENET1K_V2", (232, 224, 123.675, 58.395, "bilinear", "cover")),
        ("googlenet_bn", "torchvision:googlenet.IMAGENET1K_V1", (256, 224, 127.5, 127.5, "bilinear", "cover")),
        ("inceptionv3", "torchvision:inception_v3.IMAGENET1K_V1", (342, 299, 127.5, 127.5, "bilinear", "cover")),
        ("resnet50_v1d", "timm:resnet50d.a3_in1k", (168, 160, 123.675, 58.395, "bicubic", "cover")),
        ("resnet50_v1d", "timm:resnet50d.ra4_e3600_r224_in1k", (235, 224, 127.5, 127.5, "bicubic", "cover")),
        ("googlenet", "onnx:googlenet-9", (256, 224, 104.0, 1.0, "bilinear", "stretch")),
    ],
)
def test_each_brings_its_preprocessing(backbone, source, expected):
    used = named_weights(source, backbone).preprocessing
    assert (used.resize, used.crop, used.mean[0], used.std[0], used.interpolation, used.fit) == expected


@pytest.mark.parametrize(
    ("backbone", "source", "message"),
    [
        (
            "resnet50_v1b",
            "torchvision:resnet50.IMAGENET1K_V3",
            "no such weights; known for resnet50_v1b: torchvision:res",
        ),
        (
            "resnet18_v1b",
            "torchvision:resnet50.IMAGENET1K_V1",
            "weights of resnet50_v1b, not of resnet18_",
        ),
        ("darknet53", "timm:darknet53.c2ns_in1k", "no such weights; none are known for darknet53"),
    ],
)
def test_names_of_nothing_or_of_others_are_refused(backbone, source, message):
    with pytest.raises(ConfigError, match=re.escape(f"{source}: {message}")):
        named_weights(source, backbone)
