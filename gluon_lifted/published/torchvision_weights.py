"""torchvision's weights (BSD-3-Clause), from the ``url`` and ``transforms`` of ``torchvision/models/*.py``, 0.29.

A file's name ends with the first 8 digits of its SHA-256.
"""

from __future__ import annotations

from gluon_lifted.published.weights import PublishedWeights, WebFile, evaluation
from gluon_lifted.twins import colors
from gluon_lifted.twins.twin_networks import TORCHVISION, TWINS

URL = "https://download.pytorch.org/models/"

# Architecture -> entry -> file. The first entry is what --weights imagenet takes: the classic recipe, which published
# results of metric learning start from. Label smoothing and mixup, as in the entries V2, raise the accuracy on ImageNet
# and lower that of the features on other images (Kornblith et al. 2021, "Why do better loss functions lead to less
# transferable features?").
FILES = {
    "alexnet": {"IMAGENET1K_V1": "alexnet-owt-7be5be79.pth"},
    "densenet121": {"IMAGENET1K_V1": "densenet121-a639ec97.pth"},
    "densenet161": {"IMAGENET1K_V1": "densenet161-8d451a50.pth"},
    "densenet169": {"IMAGENET1K_V1": "densenet169-b2777c0a.pth"},
    "densenet201": {"IMAGENET1K_V1": "densenet201-c1103571.pth"},
    "googlenet": {"IMAGENET1K_V1": "googlenet-1378be20.pth"},
    "inception_v3": {"IMAGENET1K_V1": "inception_v3_google-0cc3c7bd.pth"},
    "mobilenet_v2": {"IMAGENET1K_V1": "mobilenet_v2-b0353104.pth", "IMAGENET1K_V2": "mobilenet_v2-7ebf99e0.pth"},
    "mobilenet_v3_large": {
        "IMAGENET1K_V1": "mobilenet_v3_large-8738ca79.pth",
        "IMAGENET1K_V2": "mobilenet_v3_large-5c1a4163.pth",
    },
    "mobilenet_v3_small": {"IMAGENET1K_V1": "mobilenet_v3_small-047dcff4.pth"},
    "resnet18": {"IMAGENET1K_V1": "resnet18-f37072fd.pth"},
    "resnet34": {"IMAGENET1K_V1": "resnet34-b627a593.pth"},
    "resnet50": {"IMAGENET1K_V1": "resnet50-0676ba61.pth", "IMAGENET1K_V2": "resnet50-11ad3fa6.pth"},
    "resnet101": {"IMAGENET1K_V1": "resnet101-63fe2227.pth", "IMAGENET1K_V2": "resnet101-cd907fc2.pth"},
    "resnet152": {"IMAGENET1K_V1": "resnet152-394f9c45.pth", "IMAGENET1K_V2": "resnet152-f82ba261.pth"},
    "resnext50_32x4d": {
        "IMAGENET1K_V1": "resnext50_32x4d-7cdf4587.pth",
        "IMAGENET1K_V2": "resnext50_32x4d-1a0047aa.pth",
    },
    "resnext101_64x4d": {"IMAGENET1K_V1": "resnext101_64x4d-173b62eb.pth"},
    "squeezenet1_0": {"IMAGENET1K_V1": "squeezenet1_0-b66bff10.pth"},
    "squeezenet1_1": {"IMAGENET1K_V1": "squeezenet1_1-b8a52dc0.pth"},
    "vgg11": {"IMAGENET1K_V1": "vgg11-8a719046.pth"},
    "vgg11_bn": {"IMAGENET1K_V1": "vgg11_bn-6002323d.pth"},
    "vgg13": {"IMAGENET1K_V1": "vgg13-19584684.pth"},
    "vgg13_bn": {"IMAGENET1K_V1": "vgg13_bn-abd245e5.pth"},
    "vgg16": {"IMAGENET1K_V1": "vgg16-397923af.pth"},
    "vgg16_bn": {"IMAGENET1K_V1": "vgg16_bn-6c64b313.pth"},
    "vgg19": {"IMAGENET1K_V1": "vgg19-dcbb9e9d.pth"},
    "vgg19_bn": {"IMAGENET1K_V1": "vgg19_bn-c79401a0.pth"},
}
FROM_TENSORFLOW = {
    twin.architecture for backbone in colors.FROM_TENSORFLOW for twin in TWINS[backbone] if twin.library == TORCHVISION
}  # they transform their input to -1 to 1 (transform_input)


def torchvision_weights(architecture: str) -> list[PublishedWeights]:
    """List the weights of an architecture, the one for ``--weights imagenet`` first."""
    return [
        PublishedWeights(
            TORCHVISION,
            f"{architecture}.{entry}",
            evaluation(*_sides(architecture, entry), colors=_colors(architecture)),
            (WebFile(URL + file, file.removesuffix(".pth").rpartition("-")[2]),),
        )
        for entry, file in FILES.get(architecture, {}).items()
    ]


def _colors(architecture: str) -> str:
    return "inception" if architecture in FROM_TENSORFLOW else "imagenet"


def _sides(architecture: str, entry: str) -> tuple[int, int]:
    """Return crop and resize in pixels."""
    if architecture == "inception_v3":
        return 299, 342
    return 224, 232 if entry.endswith("V2") or architecture == "resnext101_64x4d" else 256
