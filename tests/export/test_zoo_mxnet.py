"""Networks of the model zoos, one of each family, translated and compared with MXNet: random weights, several batches.

`benchmarks/export_zoo.py` does the same for all of them.
"""

from __future__ import annotations

import json

import numpy as np
import pytest

pytest.importorskip("gluon_lifted.mx", exc_type=ImportError, reason="MXNet is not installed")

from typing import TYPE_CHECKING

from gluon_lifted.mx import gluoncv_network, mx, nd
from tests.export.ops_runner import run_onnx, translate_files

if TYPE_CHECKING:
    from pathlib import Path

    from export.graph.graph import Graph

pytestmark = pytest.mark.slow

SMALL = {  # a network, and the side in pixels of images that keep it quick
    "cifar_residualattentionnet56": 32,
    "cifar_resnet20_v2": 32,
    "densenet121": 224,  # its last pooling has a fixed window
    "googlenet": 224,
    "hrnet_w18_small_v1_c": 64,
    "mobilenet0.25": 64,
    "mobilenetv2_0.25": 64,
    "mobilenetv3_small": 64,
    "resnest14": 64,
    "resnet18_v1b": 64,
    "resnet18_v2": 64,
    "se_resnet18_v1": 64,
    "shufflenet_v1": 224,
    "shufflenet_v2": 224,
    "squeezenet1.0": 224,
}
ROWS = {name: (3, side, side) for name, side in SMALL.items()} | {"p3d_resnet50_kinetics400": (3, 16, 32, 32)}


def trained_like(name: str, images: np.ndarray) -> tuple[object, np.ndarray]:
    """A network whose weights and statistics are no defaults, and what MXNet computes with it."""
    rng = np.random.default_rng(0)
    mx.random.seed(0)
    network = gluoncv_network(name)
    network.initialize(mx.init.Xavier(rnd_type="gaussian", factor_type="in", magnitude=2), force_reinit=True)
    network.hybridize()
    network(nd.array(images[:1]))  # shapes
    for parameter, statistic in network.collect_params(".*(gamma|beta|running_mean|running_var)").items():
        middle = float(parameter.endswith(("gamma", "running_var")))
        statistic.set_data(nd.array(rng.uniform(middle - 0.3, middle + 0.3, statistic.shape)))
    return network, network(nd.array(images)).asnumpy()


def check_lean(graph: Graph, names: set[str]) -> None:
    """Nothing that changes nothing or that nobody takes; names of nodes and constants lead back to MXNet's."""
    taken = graph.uses()
    assert all(taken[output] for node in graph.nodes for output in node.outputs)
    assert all(taken[name] for name in graph.constants)
    assert not {"Identity", "Dropout", "Expand", "LRN"} & {node.op for node in graph.nodes}
    assert len({node.name for node in graph.nodes}) == len(graph.nodes)
    for name in (*(node.name for node in graph.nodes), *graph.constants):
        assert name in names or name.rpartition("/")[0] in names


@pytest.mark.parametrize("name", ROWS)
def test_network_equals_mxnet(name: str, tmp_path: Path) -> None:
    images = np.random.default_rng(1).normal(size=(3, *ROWS[name])).astype(np.float32)
    network, expected = trained_like(name, images)
    network.export(str(tmp_path / "model"))
    graph = translate_files(tmp_path / "model-symbol.json", tmp_path / "model-0000.params", ROWS[name])
    check_lean(graph, {node["name"] for node in json.loads((tmp_path / "model-symbol.json").read_text())["nodes"]})
    scale = np.abs(expected).max()
    for batch in (images, images[:1]):
        np.testing.assert_allclose(run_onnx(graph, batch), expected[: len(batch)], rtol=0, atol=1e-5 * scale)
