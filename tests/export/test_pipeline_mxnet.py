"""From a Gluon network to a verified ONNX file."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
import pytest

pytest.importorskip("gluon_lifted.mx", exc_type=ImportError, reason="MXNet is not installed")

from export import export_run
from export.errors import ParityError
from gluon_lifted.mx import (
    HybridBlock,
    mx,
    nd,
    nn,
)
from gluon_lifted.training.freeze import freeze
from tests.export.mxnet_files import card, npz_bytes

if TYPE_CHECKING:
    from pathlib import Path

IMAGES = np.random.default_rng(1).normal(size=(3, 3, 23, 23)).astype(np.float32)


class SmallNet(HybridBlock):
    """Every layer of GoogLeNet, with and without batch norm; one activation used twice."""

    def __init__(self) -> None:
        super().__init__(prefix="small_")
        with self.name_scope():
            self.conv = nn.Conv2D(8, 3, 2, padding=1, activation="relu", prefix="conv_")
            self.branch = nn.Conv2D(6, 3, padding=1, use_bias=False, prefix="branch_")
            self.norm = nn.BatchNorm(prefix="norm_")
            self.relu = nn.Activation("relu", prefix="relu_")
            self.pool = nn.MaxPool2D(3, 2, ceil_mode=True, prefix="pool_")
            self.side = nn.AvgPool2D(3, 2, ceil_mode=True, prefix="side_")
            self.proj = nn.Conv2D(4, 1, prefix="proj_")
            self.gap = nn.GlobalAvgPool2D(prefix="gap_")
            self.dropout = nn.Dropout(0.4, prefix="dropout_")
            self.dense = nn.Dense(5, prefix="dense_")

    def hybrid_forward(self, F: Any, x: Any) -> Any:
        x = F.LRN(self.conv(x), nsize=5, alpha=1e-2, knorm=1)
        left = self.relu(self.norm(self.branch(self.pool(x))))
        right = self.relu(self.proj(self.side(x)))
        x = F.identity(F.concat(left, right, F.broadcast_mul(left, self.gap(left)), dim=1))
        return F.L2Normalization(self.dense(self.dropout(x)))


@pytest.fixture
def run(tmp_path: Path) -> Path:
    mx.random.seed(3)
    network = SmallNet()
    network.initialize(mx.init.Normal(0.3))
    network.hybridize()
    network(nd.array(IMAGES))
    for name, parameter in network.collect_params().items():
        if not name.endswith("weight"):
            parameter.set_data(nd.random.uniform(0.5, 1.5, parameter.shape))
    (tmp_path / "run").mkdir()
    freeze(network, tmp_path / "run", card(crop=23, dim=5), IMAGES)
    return tmp_path / "run"


def test_gluon_network_becomes_a_verified_model(run: Path, tmp_path: Path) -> None:
    report = export_run(run, tmp_path / "model.onnx")
    assert report.parity.max_abs_error < 1e-6
    ops = [node.op_type for node in onnx.load(tmp_path / "model.onnx").graph.node]
    assert not {"BatchNormalization", "Dropout", "Identity"} & set(ops)


def test_node_whose_attribute_was_changed_is_named(run: Path, tmp_path: Path) -> None:
    path = run / "model-symbol.json"
    symbol = json.loads(path.read_text())
    next(node for node in symbol["nodes"] if node["name"] == "small_lrn0")["attrs"]["knorm"] = "2"
    path.write_text(json.dumps(symbol))
    with pytest.raises(
        ParityError, match=r"The first node that differs is 'small_lrn0' \(Mul\)\. The model was not written"
    ):
        export_run(run, tmp_path / "model.onnx")
    assert not (tmp_path / "model.onnx").exists()


def test_reference_of_another_network_is_noticed(run: Path, tmp_path: Path) -> None:
    with np.load(run / "reference.npz") as file:
        arrays = dict(file)
    (run / "reference.npz").write_bytes(npz_bytes(arrays | {"embedding": arrays["embedding"][::-1].copy()}))
    with pytest.raises(ParityError, match="none of the"):
        export_run(run, tmp_path / "model.onnx")
