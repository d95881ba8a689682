"""The networks of `network_families.py`: builders that save a network and say what its inputs are."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from face_networks import face_network

from export import N, NetworkInputs
from gluon_lifted.contract import SavedNetwork
from gluon_lifted.mx import gluoncv_zoo, mx, nd
from tests.export import text_networks
from tests.export.detectors import random_detector
from tests.export.test_numpy_networks_mxnet import NETWORKS as NUMPY_NETWORKS
from tests.export.test_numpy_networks_mxnet import exported

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from export.graph.shape import BatchShape

STEPS = 16  # length of sequences
MARGIN_CLASSES = 1000


@dataclass(frozen=True)
class SavedCase:
    """A network's two files, and its inputs."""

    network: SavedNetwork
    inputs: NetworkInputs


MIDDLES = {"gamma": 1, "beta": 0, "running_mean": 0, "running_var": 1, "alpha": 0.25}
SPREADS = {"alpha": 0.15}  # of the slopes of PReLU; others 0.3


def initialize(network: Any, magnitude: float = 2) -> None:
    mx.random.seed(0)
    network.initialize(mx.init.Xavier(rnd_type="gaussian", factor_type="in", magnitude=magnitude), force_reinit=True)


def randomize(network: Any) -> None:
    """Give statistics and slopes values that are no defaults, once their shapes are known."""
    rng = np.random.default_rng(0)
    for ending, middle in MIDDLES.items():
        spread = SPREADS.get(ending, 0.3)
        for parameter in network.collect_params(f".*{ending}").values():
            parameter.set_data(nd.array(rng.uniform(middle - spread, middle + spread, parameter.shape)))


def save(
    network: Any,
    folder: Path,
    shapes: dict[str, BatchShape],
    dtypes: dict[str, str] | None = None,
    batch: int = 3,
) -> SavedCase:
    """Run a network once for its shapes, and save it."""
    inputs = NetworkInputs(shapes, {name: np.dtype(dtype) for name, dtype in (dtypes or {}).items()}, batch)
    arrays = [nd.ones(shape, dtype=inputs.dtypes.get(name, np.float32)) for name, shape in inputs.fixed().items()]
    network.hybridize()
    network(*arrays)
    randomize(network)
    network(*arrays)
    nd.waitall()
    network.export(str(folder / "net"))
    return SavedCase(SavedNetwork(folder / "net-symbol.json", folder / "net-0000.params"), inputs)


def zoo(
    name: str, row: tuple[int, ...], folder: Path, magnitude: float = 2, batch: int = 3, **options: Any
) -> SavedCase:
    """Save a network of GluonCV's zoo."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        network = gluoncv_zoo().get_model(name, pretrained=False, **options)
    initialize(network, magnitude)
    return save(network, folder, {"data": (N, *row)}, batch=batch)


def detector(
    name: str, side: int, folder: Path, nms: tuple[float, int] | None = (0.45, 400), magnitude: float = 2
) -> SavedCase:
    """Save a detection network of GluonCV's zoo with its post-processing."""
    images = np.random.default_rng(0).normal(size=(3, 3, side, side)).astype(np.float32)
    network = random_detector(name, images, nms, magnitude=magnitude)
    network(nd.array(images))
    nd.waitall()
    network.export(str(folder / "net"))
    files = SavedNetwork(folder / "net-symbol.json", folder / "net-0000.params")
    return SavedCase(files, NetworkInputs({"data": (N, 3, side, side)}, batch=3))


def region_detector(name: str, side: int, folder: Path) -> SavedCase:
    """Save an R-CNN, which GluonCV builds for single images."""
    images = np.random.default_rng(0).normal(size=(1, 3, side, side)).astype(np.float32)
    network = random_detector(name, images)
    network.export(str(folder / "net"))
    files = SavedNetwork(folder / "net-symbol.json", folder / "net-0000.params")
    return SavedCase(files, NetworkInputs({"data": (N, 3, side, side)}, batch=1))


def face(name: str, folder: Path) -> SavedCase:
    network = face_network(name)
    initialize(network)
    return save(network, folder, {"data": (N, 3, 112, 112)})


def margin_checkpoint(folder: Path) -> SavedCase:
    """Save MobileFaceNet with a margin head as Module does: the weight of its classes is normalized in the network."""
    network = face_network("mobilefacenet")
    initialize(network)
    network.hybridize()
    network(nd.zeros((1, 3, 112, 112)))
    randomize(network)
    embedding = mx.sym.identity(network(mx.sym.var("data")), name="fc1")
    weight = mx.sym.var("fc7_weight", shape=(MARGIN_CLASSES, 512))
    scores = mx.sym.FullyConnected(
        mx.sym.L2Normalization(embedding), mx.sym.L2Normalization(weight), no_bias=True, num_hidden=MARGIN_CLASSES
    )
    symbol = mx.sym.SoftmaxOutput(64 * scores, name="softmax")
    known = {name: parameter.data() for name, parameter in network.collect_params().items()}
    module = mx.mod.Module(symbol, ["data"], ["softmax_label"])
    module.bind([("data", (1, 3, 112, 112))], [("softmax_label", (1,))], for_training=False)
    module.init_params(mx.init.Normal(1), arg_params=known, aux_params=known, allow_missing=True, allow_extra=True)
    module.save_checkpoint(str(folder / "face"), 0)
    files = SavedNetwork(folder / "face-symbol.json", folder / "face-0000.params")
    return SavedCase(files, NetworkInputs({"data": (N, 3, 112, 112)}, batch=3))


def text(make: Callable[[], Any], shapes: dict[str, BatchShape], dtypes: dict[str, str], folder: Path) -> SavedCase:
    network = make()
    initialize(network)
    return save(network, folder, shapes, dtypes)


def numpy_network(name: str, folder: Path) -> SavedCase:
    """Save a network of `mx.np` as in *Dive into Deep Learning*."""
    files, images, _ = exported(name, folder)
    return SavedCase(files, NetworkInputs({"data": (N, *images.shape[1:])}, batch=3))


def images(side: int) -> tuple[int, ...]:
    return (3, side, side)


WORDS = {"data0": (N, STEPS)}
FAMILIES: dict[str, dict[str, Any]] = {
    "classification": {
        name: partial(zoo, name, images(side), magnitude=magnitude)
        for name, side, magnitude in (
            *(("resnet50_v1b", 64, 2), ("resnet50_v2", 64, 2), ("densenet121", 224, 2), ("googlenet", 224, 2)),
            *(("mobilenetv3_large", 64, 0.25), ("se_resnext50_32x4d", 64, 0.25), ("vgg16_bn", 64, 2)),
            *(("inceptionv3", 299, 2), ("resnest50", 64, 0.25), ("squeezenet1.1", 224, 2), ("nasnet_4_1056", 224, 2)),
        )
    },
    "segmentation": {
        "icnet_resnet50_citys": partial(
            zoo, "icnet_resnet50_citys", images(480), magnitude=0.25, batch=2, pretrained_base=False, crop_size=480
        ),
    },
    "pose": {
        name: partial(zoo, name, images(256), magnitude=0.25, pretrained_base=False)
        for name in ("simple_pose_resnet18_v1b", "mobile_pose_mobilenet1.0", "alpha_pose_resnet101_v1b_coco")
    },
    "face": {
        **{name: partial(face, name) for name in ("arcface_r18", "arcface_r50", "mobilefacenet")},
        "mobilefacenet, checkpoint with a margin head": margin_checkpoint,
    },
    "detection": {
        **{
            name: partial(detector, name, side, magnitude=magnitude)
            for name, side, magnitude in (
                *(("ssd_300_vgg16_atrous_voc", 300, 0.5), ("ssd_512_resnet50_v1_voc", 128, 0.5)),
                *(("ssd_512_mobilenet1.0_voc", 128, 1), ("yolo3_darknet53_voc", 128, 0.7)),
                ("yolo3_mobilenet1.0_voc", 128, 2),
            )
        },
        "center_net_resnet18_v1b_voc": partial(detector, "center_net_resnet18_v1b_voc", 128, nms=None),
        "center_net_resnet18_v1b_dcnv2_voc": partial(detector, "center_net_resnet18_v1b_dcnv2_voc", 128, nms=None),
        "faster_rcnn_resnet50_v1b_voc": partial(region_detector, "faster_rcnn_resnet50_v1b_voc", 128),
    },
    "video": {
        name: partial(zoo, name, row, magnitude=0.5, **options)
        for name, row, options in (
            ("c3d_kinetics400", (3, 16, 112, 112), {}),
            ("p3d_resnet50_kinetics400", (3, 16, 32, 32), {}),
            ("r2plus1d_resnet18_kinetics400", (3, 8, 32, 32), {}),
            ("i3d_resnet50_v1_kinetics400", (3, 8, 64, 64), {"pretrained_base": False}),
            ("i3d_inceptionv1_kinetics400", (3, 16, 224, 224), {"pretrained_base": False}),
            ("slowfast_4x16_resnet50_kinetics400", (3, 36, 64, 64), {"pretrained_base": False}),
        )
    },
    "text": {
        "BERT": partial(
            text,
            lambda: text_networks.Bert(STEPS),
            {**WORDS, "data1": (N, STEPS), "data2": (N,)},
            {"data0": "int32", "data1": "int32"},
        ),
        "bidirectional LSTM": partial(text, text_networks.LstmClassifier, {**WORDS, "data1": (N,)}, {}),
        "GRU and its states": partial(text, text_networks.GruStates, {"data0": (STEPS, N, 3), "data1": (2, N, 4)}, {}),
        "text CNN": partial(text, text_networks.TextCnn, {"data": (N, STEPS)}, {"data": "int32"}),
        "image and text": partial(
            text,
            text_networks.ImageText,
            {"data0": (N, 3, 8, 8), "data1": (N, STEPS)},
            {"data1": "int64"},
        ),
    },
    "mx.np": {name: partial(numpy_network, name) for name in NUMPY_NETWORKS},
}
