"""The networks of `export_zoo.py`: names, image sizes, builders."""

from __future__ import annotations

from typing import Any

BATCH = 8  # images per batch of the timing
SIDES = {"inception": 299, "nasnet": 299, "xception": 299, "cifar_": 32}  # others: 224 px
# Segmentation at 480 px and pose at 256 px, one per architecture
SEGMENTATION = (
    *("fcn_resnet50_ade", "psp_resnet50_ade", "deeplab_resnet50_ade", "deeplab_resnest50_ade", "danet_resnet50_citys"),
    *("deeplab_v3b_plus_wideresnet_citys", "icnet_resnet50_citys", "fastscnn_citys", "hrnet_w18_small_v1_s"),
)
POSE = (
    *("simple_pose_resnet18_v1b", "simple_pose_resnet50_v1d", "alpha_pose_resnet101_v1b_coco"),
    *("mobile_pose_resnet18_v1b", "mobile_pose_mobilenet1.0", "mobile_pose_mobilenetv3_small"),
)
MXNET_ZOO = (
    *(f"resnet{depth}_v{version}" for version in (1, 2) for depth in (18, 34, 50, 101, 152)),
    *(f"vgg{depth}{norm}" for norm in ("", "_bn") for depth in (11, 13, 16, 19)),
    *(f"mobilenet{width}" for width in ("1.0", "0.75", "0.5", "0.25")),
    *(f"mobilenetv2_{width}" for width in ("1.0", "0.75", "0.5", "0.25")),
    *(f"densenet{depth}" for depth in (121, 161, 169, 201)),
    *("alexnet", "inceptionv3", "squeezenet1.0", "squeezenet1.1"),
)
# Attention multiplies: with weights of variance 2 / inputs, outputs exceed 1e6, and rounding changes them by 1e-2
ATTENTIVE = ("residualattention", "resnest", "se_res", "senet", "danet", "mobilenetv3")


FACES = ("arcface_r18", "arcface_r50", "mobilefacenet")
DETECTION = ("yolo3_mobilenet1.0_voc",)


def magnitude(name: str) -> float:
    """Return the variance of the weights times the number of inputs."""
    return 0.25 if any(part in name for part in ATTENTIVE) else 2


def side(name: str) -> int:
    if name in SEGMENTATION:
        return 480
    if name in POSE:
        return 256
    if name in FACES:
        return 112
    if name in DETECTION:
        return 416
    return next((pixels for part, pixels in SIDES.items() if part in name), 224)


def batch_size(name: str) -> int:
    """Return the batch size of the timing."""
    return 1 if name in (*SEGMENTATION, *DETECTION) else BATCH


def build(zoo: str, name: str) -> Any:
    from gluon_lifted.mx import gluoncv_network, gluoncv_zoo, mx

    if zoo == "mxnet":
        return mx.gluon.model_zoo.vision.get_model(name)
    if name in FACES:
        from face_networks import face_network

        return face_network(name)
    if name not in (*SEGMENTATION, *POSE, *DETECTION):
        return gluoncv_network(name)
    options = {} if name.endswith("_s") else {"pretrained_base": False}  # hrnet has no option for its base
    if name in SEGMENTATION and options:
        options["crop_size"] = side(name)
    return gluoncv_zoo().get_model(name, pretrained=False, **options)


def networks() -> list[tuple[str, str]]:
    from gluon_lifted.networks.backbones import classifier_names

    names = (*classifier_names(), "googlenet", *SEGMENTATION, *POSE)
    zoos = {"gluoncv": (*names, *DETECTION), "mxnet": MXNET_ZOO, "insightface": FACES}
    return [(zoo, name) for zoo, names in zoos.items() for name in names]
