from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import onnx
import onnxruntime
import pytest

from export import (
    export_run,
    verify_file,
)
from export.errors import MalformedModelError, ParityError
from export.passes import preprocessing as preprocessing_module
from export.passes.preprocessing import take_pixels
from gluon_lifted.card import ModelCard
from gluon_lifted.contract import CARD_KEY
from gluon_lifted.images import Preprocessing, normalize
from serve_cli import Embedder
from tests.export.mxnet_files import card, write_run
from tests.export.networks import (
    CROP,
    DIM,
    small_network,
    small_reference,
)

if TYPE_CHECKING:
    from pathlib import Path

    from export.graph.graph import Graph


@pytest.fixture
def run(tmp_path: Path) -> Path:
    net = small_network()
    return write_run(tmp_path / "run", net, small_reference(net))


@pytest.mark.parametrize("channels", ["RGB", "BGR"])
def test_pixels_and_unit_length_in_the_file(run: Path, tmp_path: Path, channels: str) -> None:
    document = json.loads((run / "card.json").read_text())
    document["preprocessing"] |= {"channels": channels, "mean": [100.0, 110.0, 120.0], "std": [50.0, 60.0, 70.0]}
    (run / "card.json").write_text(json.dumps(document))
    export_run(run, tmp_path / "plain.onnx")
    export_run(run, tmp_path / "whole.onnx", pixels=True, normalize=True)
    pixels = np.random.default_rng(0).integers(0, 256, (4, CROP, CROP, 3), np.uint8)
    data = (pixels - np.float32([100, 110, 120][:: 1 if channels == "RGB" else -1])) / np.float32(
        [50, 60, 70][:: 1 if channels == "RGB" else -1]
    )  # in the order of the pixels
    planes = data.transpose(0, 3, 1, 2)[:, :: 1 if channels == "RGB" else -1].astype(np.float32)
    plain = onnxruntime.InferenceSession(tmp_path / "plain.onnx").run(None, {"data": planes})[0]
    session = onnxruntime.InferenceSession(tmp_path / "whole.onnx")
    assert (session.get_inputs()[0].name, session.get_inputs()[0].type) == ("images", "tensor(uint8)")
    whole = session.run(["embedding"], {"images": pixels})[0]
    np.testing.assert_allclose(whole, plain / np.linalg.norm(plain, axis=1, keepdims=True), atol=1e-5)
    metadata = {prop.key: prop.value for prop in onnx.load(tmp_path / "whole.onnx").metadata_props}
    assert ModelCard.from_json(metadata[CARD_KEY], "card").normalized
    served = Embedder(tmp_path / "whole.onnx").embed(pixels)
    np.testing.assert_allclose(served, whole, atol=1e-6)


@pytest.mark.parametrize("channels", ["RGB", "BGR"])
def test_model_with_preprocessing_is_verified_with_its_run(tmp_path: Path, channels: str) -> None:
    net = small_network()
    net.op("_plus_scalar", "shifted", [len(net.nodes) - 1], {"scalar": "0.5"})  # else all rows have unit length
    preprocessing = replace(card(CROP, DIM).preprocessing, channels=channels)
    data = normalize(np.random.default_rng(1).integers(0, 256, (3, CROP, CROP, 3), np.uint8), preprocessing)
    reference = small_reference(net, data=data)
    reference["embedding"] = reference["embedding"] + np.float32(0.5)
    run = write_run(tmp_path / "run", net, reference)
    (run / "card.json").write_text(replace(card(CROP, DIM), preprocessing=preprocessing).to_json())
    for name, pixels, unit in (("pixels", True, False), ("unit", False, True), ("both", True, True)):
        export_run(run, tmp_path / f"{name}.onnx", pixels=pixels, normalize=unit)
        assert verify_file(tmp_path / f"{name}.onnx", run).max_abs_error < 1e-5
    other = write_run(tmp_path / "other", net, {**reference, "embedding": reference["embedding"] + np.float32(0.01)})
    with pytest.raises(ParityError, match="differs from MXNet"):
        verify_file(tmp_path / "both.onnx", other)
    reference["data"] = data + np.float32(0.004)
    with pytest.raises(MalformedModelError, match="the reference's images are not pixels normalized"):
        verify_file(tmp_path / "both.onnx", write_run(tmp_path / "between", net, reference))


def test_wrong_preprocessing_is_noticed(run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def mistaken(graph: Graph, preprocessing: Preprocessing) -> None:
        take_pixels(graph, replace(preprocessing, channels="BGR"))

    monkeypatch.setattr(preprocessing_module, "take_pixels", mistaken)
    with pytest.raises(ParityError, match="with the preprocessing inside the model"):
        export_run(run, tmp_path / "model.onnx", pixels=True)
    assert not (tmp_path / "model.onnx").exists()


def test_rows_of_zeros_stay_zeros(tmp_path: Path) -> None:
    net = small_network()
    for name in ("fc_weight", "fc_bias"):
        net.params[name] = np.zeros_like(net.params[name])
    reference = {key: array for key, array in small_reference(net).items() if not key.startswith("node/")}
    run = write_run(tmp_path / "run", net, reference)
    export_run(run, tmp_path / "model.onnx", normalize=True)
    session = onnxruntime.InferenceSession(tmp_path / "model.onnx")
    assert not session.run(None, {"data": reference["data"]})[0].any()
