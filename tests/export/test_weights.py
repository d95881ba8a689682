from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from export import export_weights
from export.errors import MalformedModelError
from gluon_lifted.card import ModelCard
from gluon_lifted.contract import CARD_KEY, SavedNetwork
from gluon_lifted.errors import ConfigError, RunError
from tests.export.mxnet_files import Net, card, npz_bytes, params_bytes, write_run
from tests.export.networks import small_network, small_reference

if TYPE_CHECKING:
    from pathlib import Path

RNG = np.random.default_rng(0)
PAIR = "model-symbol.json", "model-0000.params"
TWIN = {"googlenet_bn": "torchvision googlenet", "resnet50_v1b": "torchvision resnet50",
        "se_resnext50_32x4d": "timm seresnext50_32x4d"}  # fmt: skip
NUMPY = {"F32": "<f4", "F64": "<f8", "F16": "<f2", "I64": "<i8", "I32": "<i4", "U8": "u1", "I8": "i1", "BOOL": "?"}


def parsed(path: Path) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    """By the format's description: arrays that follow each other without gaps, and the metadata."""
    content = path.read_bytes()
    start = 8 + int.from_bytes(content[:8], "little")
    header: dict[str, Any] = json.loads(content[8:start])
    metadata, arrays, end = header.pop("__metadata__"), {}, 0
    for name, entry in header.items():
        assert entry["data_offsets"][0] == end
        assert end % np.dtype(NUMPY[entry["dtype"]]).itemsize == 0
        end = entry["data_offsets"][1]
        data = content[start + entry["data_offsets"][0] : start + end]
        arrays[name] = np.frombuffer(data, NUMPY[entry["dtype"]]).reshape(entry["shape"])
    assert start + end == len(content)
    assert start % 8 == 0
    return arrays, metadata


def assert_same_arrays(actual: dict[str, np.ndarray], expected: dict[str, np.ndarray]) -> None:
    assert set(actual) == set(expected)
    for name, array in expected.items():
        assert (actual[name].dtype, actual[name].shape) == (array.dtype, array.shape)
        assert actual[name].tobytes() == array.tobytes()


@pytest.fixture
def run(tmp_path: Path) -> Path:
    net = small_network()
    return write_run(tmp_path / "run", net, small_reference(net))


def as_backbone(run: Path, names: dict[str, str], backbone: str) -> dict[str, np.ndarray]:
    """Rename the parameters of the small network, and say in the card that they are a backbone's."""
    net = small_network()
    for node in net.nodes:
        node["name"] = names.get(node["name"], node["name"])
    net.params = {names.get(name, name): array for name, array in net.params.items()}
    (run / PAIR[0]).write_bytes(net.symbol_bytes())
    (run / PAIR[1]).write_bytes(net.params_bytes())
    described = json.loads((run / "card.json").read_text()) | {"backbone": backbone}
    (run / "card.json").write_text(json.dumps(described))
    return net.params


def test_another_backbone_keeps_mxnets_names(run: Path, tmp_path: Path) -> None:
    report = export_weights(run, tmp_path / "new" / "w.safetensors")
    arrays, metadata = parsed(report.path)
    assert_same_arrays(arrays, small_network().params)
    assert ModelCard.from_json(metadata.pop(CARD_KEY), "w") == card(19, 6)
    assert metadata == {"format": "pt"}
    total = sum(array.size for array in small_network().params.values())
    assert (report.names, report.num_tensors, report.num_parameters) == ("MXNet", len(arrays), total)
    assert report.size_bytes == report.path.stat().st_size


@pytest.mark.parametrize(
    ("backbone", "names", "expected"),
    [
        (
            "googlenet_bn",
            {"conv1_weight": "conv1.0.weight", "conv1_bias": "inception3a.3.1.0.bias",
             "conv2_weight": "inception3a.1.0.0.weight", "bn_gamma": "inception3a.1.0.1.gamma",
             "bn_beta": "inception3a.1.0.1.beta", "bn_moving_mean": "inception3a.1.0.1.running_mean",
             "bn_moving_var": "inception3a.1.0.1.running_var", "fc_weight": "embedding_weight",
             "fc_bias": "embedding_bias"},
            {"conv1.conv.weight", "inception3a.branch4.1.conv.bias", "inception3a.branch2.0.conv.weight",
             *(f"inception3a.branch2.0.bn.{kind}" for kind in
               ("weight", "bias", "running_mean", "running_var", "num_batches_tracked")),
             "embedding.weight", "embedding.bias"},
        ),
        (
            "se_resnext50_32x4d",
            {"conv1_weight": "features.0.weight", "conv1_bias": "features.7.2.se.0.bias",
             "conv2_weight": "features.4.0.body.3.weight", "bn_gamma": "features.5.0.downsample.1.gamma",
             "bn_beta": "features.5.0.downsample.1.beta", "bn_moving_mean": "features.5.0.downsample.1.running_mean",
             "bn_moving_var": "features.5.0.downsample.1.running_var", "fc_weight": "embedding_weight",
             "fc_bias": "embedding_bias"},
            {"conv1.weight", "layer4.2.se.fc1.bias", "layer1.0.conv2.weight",
             *(f"layer2.0.downsample.1.{kind}" for kind in
               ("weight", "bias", "running_mean", "running_var", "num_batches_tracked")),
             "embedding.weight", "embedding.bias"},
        ),
        (
            "resnet50_v1b",
            {"conv1_weight": "conv1.weight", "conv1_bias": "mean_residual", "conv2_weight": "layer1.0.conv1.weight",
             "bn_gamma": "layer1.0.downsample.1.gamma", "bn_beta": "layer1.0.downsample.1.beta",
             "bn_moving_mean": "layer1.0.downsample.1.running_mean",
             "bn_moving_var": "layer1.0.downsample.1.running_var", "fc_weight": "embedding_weight",
             "fc_bias": "embedding_bias"},
            {"conv1.weight", "mean_residual", "layer1.0.conv1.weight",
             *(f"layer1.0.downsample.1.{kind}" for kind in
               ("weight", "bias", "running_mean", "running_var", "num_batches_tracked")),
             "embedding.weight", "embedding.bias"},
        ),
    ],
)  # fmt: skip
def test_names_of_the_twin(run: Path, tmp_path: Path, backbone: str, names: dict[str, str], expected: set[str]) -> None:
    params = as_backbone(run, names, backbone)
    report = export_weights(run, tmp_path / "w.safetensors")
    arrays, _ = parsed(report.path)
    assert set(arrays) == expected
    assert report.names == TWIN[backbone]
    counts = [arrays.pop(name) for name in list(arrays) if name.endswith("num_batches_tracked")]
    assert [(count.dtype, count.shape, int(count)) for count in counts] == [(np.dtype("<i8"), (), 0)]
    assert sorted(array.tobytes() for array in arrays.values()) == sorted(array.tobytes() for array in params.values())


def test_variances_for_torchvisions_larger_epsilon(run: Path, tmp_path: Path) -> None:
    """sqrt(variance + 0.001) there is sqrt(variance + 0.00001) here."""
    names = {"bn_gamma": "features.1.gamma", "bn_moving_var": "features.1.running_var",
             "conv1_weight": "features.0.weight", "conv2_weight": "features.4.expand.conv.weight",
             "conv1_bias": "features.6.se.conv1.bias", "bn_beta": "features.1.beta",
             "bn_moving_mean": "features.1.running_mean", "fc_weight": "embedding_weight",
             "fc_bias": "embedding_bias"}  # fmt: skip
    params = as_backbone(run, names, "mobilenetv3_large")
    report = export_weights(run, tmp_path / "w.safetensors")
    assert report.names == "torchvision mobilenet_v3_large"
    arrays, _ = parsed(report.path)
    ours, theirs = params["features.1.running_var"].astype(float), arrays["features.0.1.running_var"].astype(float)
    np.testing.assert_allclose(theirs + 0.001, ours + 0.00001, rtol=1e-6)
    assert arrays["features.0.1.weight"].tobytes() == params["features.1.gamma"].tobytes()
    assert "features.2.block.0.0.weight" in arrays


def test_parameters_of_another_structure_than_the_card_says(run: Path, tmp_path: Path) -> None:
    as_backbone(run, {"conv1_weight": "conv1.weight.x"}, "googlenet_bn")
    with pytest.raises(MalformedModelError, match="names are not those of googlenet_bn"):
        export_weights(run, tmp_path / "w.safetensors")
    as_backbone(run, {"fc_weight": "embedding_weight", "conv2_weight": "embedding.weight"}, "resnet18_v1b")
    with pytest.raises(MalformedModelError, match="two parameters have the same name"):
        export_weights(run, tmp_path / "w.safetensors")
    assert not (tmp_path / "w.safetensors").exists()


def test_network_of_others_cut_at_a_node(run: Path, tmp_path: Path) -> None:
    report = export_weights(SavedNetwork(run / PAIR[0], run / PAIR[1], output="conv2"), tmp_path / "w.safetensors")
    arrays, metadata = parsed(report.path)
    assert_same_arrays(
        arrays, {name: small_network().params[name] for name in ("conv1_weight", "conv1_bias", "conv2_weight")}
    )
    assert (report.names, metadata) == ("MXNet", {"format": "pt"})


def test_every_type_of_numbers_as_the_safetensors_package_reads_it(tmp_path: Path) -> None:
    load_file = pytest.importorskip("safetensors.numpy", reason="safetensors is not installed").load_file
    types = ["uint8", "float16", "float32", "float64", "int8", "int32", "int64", "bool"]
    params = {f"é_{dtype}_weight": (RNG.normal(size=(3, 5)) * 9).astype(dtype) for dtype in types}
    net = Net()
    net.op("Concat", "all", [net.variable("data"), *(net.variable(name) for name in params)])
    (tmp_path / "s.json").write_bytes(net.symbol_bytes())
    (tmp_path / "p").write_bytes(params_bytes({f"arg:{name}": array for name, array in params.items()}))
    export_weights(SavedNetwork(tmp_path / "s.json", tmp_path / "p"), tmp_path / "w.safetensors")
    assert_same_arrays(load_file(tmp_path / "w.safetensors"), params)
    assert_same_arrays(parsed(tmp_path / "w.safetensors")[0], params)


def test_missing_and_misnamed_parameters(tmp_path: Path) -> None:
    net = Net()
    net.op("Concat", "all", [net.variable("data"), net.variable("__metadata__", np.ones(2, np.float32))])
    (tmp_path / "s.json").write_bytes(net.symbol_bytes())
    (tmp_path / "p").write_bytes(net.params_bytes())
    with pytest.raises(MalformedModelError, match="a parameter is named __metadata__"):
        export_weights(SavedNetwork(tmp_path / "s.json", tmp_path / "p"), tmp_path / "w")
    net.nodes[1]["name"] = "all_weight"
    (tmp_path / "s.json").write_bytes(net.symbol_bytes())
    with pytest.raises(
        MalformedModelError, match=r"the .params file lacks 1 of the network's parameters, such as 'all_weight'"
    ):
        export_weights(SavedNetwork(tmp_path / "s.json", tmp_path / "p"), tmp_path / "w")


def test_failure_leaves_the_old_file(run: Path, tmp_path: Path) -> None:
    path = tmp_path / "w.safetensors"
    path.write_bytes(b"old")
    (run / PAIR[1]).write_bytes(npz_bytes({}))
    with pytest.raises(MalformedModelError):
        export_weights(run, path)
    with pytest.raises(RunError):
        export_weights(tmp_path / "none", path)
    assert path.read_bytes() == b"old"


def test_path_that_cannot_be_written(run: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be written"):
        export_weights(run, run / "card.json" / "w.safetensors")
