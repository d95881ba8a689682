"""Networks that MXNet saved, as its users save them: a Module's checkpoint, and a Gluon export. To embeddings."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("gluon_lifted.mx", exc_type=ImportError, reason="MXNet is not installed")
pytest.importorskip("onnx", reason="exporting needs onnx")

from gluon_lifted.card import ModelCard
from gluon_lifted.images import Preprocessing
from gluon_lifted.mx import mx, nd, nn
from serve_cli import Embedder
from serve_cli.cli.main import main
from tests.serve_cli.photos import pixels

if TYPE_CHECKING:
    from pathlib import Path

SIDE = 12
IMAGES = np.stack([pixels(seed, SIDE, SIDE) for seed in range(3)])
DATA = (IMAGES.transpose(0, 3, 1, 2).astype(np.float32) - 127.5) / 128


def module_checkpoint(folder: Path) -> np.ndarray:
    """Save a classifier with its loss; return what its node ``fc1`` gives for `DATA`."""
    node = mx.sym.Convolution(mx.sym.Variable("data"), num_filter=6, kernel=(3, 3), name="conv")
    node = mx.sym.Activation(mx.sym.BatchNorm(node, fix_gamma=False, name="norm"), act_type="relu", name="relu")
    node = mx.sym.FullyConnected(node, num_hidden=8, name="fc1")
    symbol = mx.sym.SoftmaxOutput(mx.sym.FullyConnected(node, num_hidden=5, name="fc2"), name="softmax")
    module = mx.mod.Module(symbol)
    module.bind([("data", DATA.shape)], [("softmax_label", (len(DATA),))], for_training=False)
    module.init_params(mx.init.Normal(0.3))
    module.save_checkpoint(str(folder / "net"), 7)
    inner = mx.mod.Module(symbol.get_internals()["fc1_output"], label_names=None)
    inner.bind([("data", DATA.shape)], for_training=False)
    inner.set_params(*module.get_params(), allow_extra=True)
    inner.forward(mx.io.DataBatch([nd.array(DATA)]), is_train=False)
    return inner.get_outputs()[0].asnumpy()


def gluon_export(folder: Path) -> np.ndarray:
    """Save a network that pools; return what it gives for `DATA`."""
    network = nn.HybridSequential()
    network.add(nn.Conv2D(6, 3), nn.BatchNorm(), nn.Activation("relu"), nn.GlobalAvgPool2D())
    network.initialize(mx.init.Normal(0.3))
    network.hybridize()
    rows = network(nd.array(DATA)).asnumpy()
    network.export(str(folder / "net"), epoch=7)
    return rows.reshape(len(DATA), -1)


@pytest.mark.parametrize(
    ("save", "more"), [(module_checkpoint, ("--output", "fc1")), (gluon_export, ())], ids=["module", "gluon"]
)
def test_to_embeddings_of_image_files(tmp_path, monkeypatch, save, more):
    mx.random.seed(1)
    expected = save(tmp_path)
    for number, image in enumerate(IMAGES):
        Image.fromarray(image).save(tmp_path / f"{number}.png")
    files = ("--symbol", tmp_path / "net-symbol.json", "--params", tmp_path / "net-0007.params")
    how = Preprocessing(SIDE, SIDE, mean=(127.5,) * 3, std=(128,) * 3)
    card = ModelCard("ours", "none", expected.shape[1], False, how, "none", "none")
    (tmp_path / "card.json").write_text(card.to_json())
    for options in (("--mean", "127.5", "--scale", 1 / 128), ("--card", tmp_path / "card.json")):
        line = ("export", *files, *more, "--shape", f"data:1,3,{SIDE},{SIDE}", *options, "--onnx", tmp_path / "n.onnx")
        monkeypatch.setattr(sys, "argv", ["lifted", *map(str, line)])
        with pytest.raises(SystemExit) as ended:
            main()
        assert not ended.value.code
        with Embedder(tmp_path / "n.onnx") as embedder:
            rows = embedder.embed_files(tmp_path / f"{number}.png" for number in range(3))
        np.testing.assert_allclose(rows, expected, atol=1e-4 * np.abs(expected).max())
