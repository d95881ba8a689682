"""A model above protobuf's limit, by a limit that is lowered, in the commands that read models."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

pytest.importorskip("onnx", reason="export needs onnx")

from export import EmbeddingNetwork, ExportOptions, N, NetworkInputs, export_network, export_run
from export.graph import model as model_module
from gluon_lifted.contract import SavedNetwork
from gluon_lifted.images.presets import preset
from serve_cli.inspection import inspect_path
from serve_cli.model.embedder import Embedder
from serve_cli.model.model_options import ModelOptions
from tests.export.mxnet_files import write_run
from tests.export.networks import CROP, small_network, small_reference

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(autouse=True)
def _low_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(model_module, "MAX_INLINE_BYTES", 1000)
    monkeypatch.setattr(model_module, "MIN_EXTERNAL_BYTES", 100)


@pytest.fixture
def run(tmp_path: Path) -> Path:
    net = small_network()
    return write_run(tmp_path / "run", net, small_reference(net))


def data_of(model: Path) -> Path:
    (data,) = model.parent.glob("*.data")
    return data


def test_readers_open_it(run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "model.onnx"
    report = export_run(run, path, pixels=True)
    small = tmp_path / "small.onnx"
    with monkeypatch.context() as usual:
        usual.setattr(model_module, "MAX_INLINE_BYTES", 10**9)
        export_run(run, small, pixels=True)
    assert inspect_path(path).about["bytes"] == report.size_bytes
    pixels = np.random.default_rng(0).integers(0, 256, (3, CROP, CROP, 3), np.uint8)
    options = ModelOptions(threads=1, cache=False)
    with Embedder(path, options) as embedder, Embedder(small, options) as other:
        np.testing.assert_array_equal(embedder.embed(pixels), other.embed(pixels))


def test_half_precision_and_preprocessing_of_a_network_of_others(run: Path, tmp_path: Path) -> None:
    network = SavedNetwork(run / "model-symbol.json", run / "model-0000.params")
    embedding = EmbeddingNetwork(preprocessing=preset("raw", CROP), name="n", pixels=True, normalize=True)
    path = tmp_path / "model.onnx"
    inputs = NetworkInputs({"data": (N, 3, CROP, CROP)})
    export_network(network, inputs, path, ExportOptions(precision="fp16"), embedding=embedding)
    assert data_of(path).stat().st_size > 0
    with Embedder(path, ModelOptions(threads=1, cache=False)) as embedder:
        assert embedder.embed(np.zeros((1, CROP, CROP, 3), np.uint8)).shape == (1, 6)


def test_missing_data_file_is_named(run: Path, tmp_path: Path, lifted: Any) -> None:
    path = tmp_path / "model.onnx"
    export_run(run, path)
    data_of(path).unlink()
    status, _, err = lifted("verify", path, run)
    assert (status, "cannot be read (No such file" in err) == (1, True)


def test_export_command_counts_both_files(run: Path, tmp_path: Path, lifted: Any) -> None:
    status, out, err = lifted("export", run, "--onnx", tmp_path / "model.onnx", "--json")
    assert status == 0, err
    total = sum(file.stat().st_size for file in (tmp_path / "model.onnx", data_of(tmp_path / "model.onnx")))
    assert json.loads(out)["size_bytes"] == total
