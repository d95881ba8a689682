"""A small run exported in lower precision: what is written, and what is refused."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest

onnx = pytest.importorskip("onnx", reason="exporting needs onnx")

from export import ExportOptions, export_run
from gluon_lifted.errors import ConfigError, DataError
from gluon_lifted.images import normalize
from serve_cli.compress import comparison as comparison_module
from serve_cli.compress import export_reduced as export_module
from serve_cli.compress.acceptance import AcceptanceCriteria
from serve_cli.compress.comparison import PrecisionComparison
from serve_cli.compress.export_reduced import export_reduced
from serve_cli.model.embedder import Embedder
from tests.export.mxnet_files import card, write_run
from tests.export.networks import (
    CROP,
    DIM,
    small_network,
    small_reference,
)
from tests.serve_cli.photos import photo, pixels

pytestmark = pytest.mark.slow


def export_run_reduced(run, onnx_path, options, criteria, *, pixels=False):
    export_to = partial(export_run, run, pixels=pixels, normalize=False)
    return export_reduced(export_to, onnx_path, options, criteria, run / "reference.npz")


@pytest.fixture
def run(tmp_path: Path) -> Path:
    net = small_network()
    crops = np.stack([pixels(seed, CROP, CROP) for seed in range(8)])
    data = normalize(crops, card(CROP, DIM).preprocessing)
    return write_run(tmp_path / "run", net, small_reference(net, data=data))


@pytest.fixture(autouse=True)
def _briefly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(comparison_module, "SECONDS", 0.01)


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    for seed in range(12):
        photo(tmp_path / "photos" / f"class{seed % 3}" / f"{seed}.jpg", seed=seed)
    (tmp_path / "photos" / "class0" / "broken.jpg").write_bytes(b"no image")
    return tmp_path / "photos"


@pytest.mark.parametrize("in_graph", [False, True])
def test_int8(run: Path, photos: Path, tmp_path: Path, in_graph: bool) -> None:
    target = tmp_path / "models" / "int8.onnx"
    options = ExportOptions(precision="int8", calibration=photos)
    report, comparison = export_run_reduced(run, target, options, AcceptanceCriteria(force=True), pixels=in_graph)
    assert report.path == target
    assert report.size_bytes == target.stat().st_size
    assert [path.name for path in target.parent.iterdir()] == ["int8.onnx"]
    assert 0.9 < comparison.min_cosine <= comparison.mean_cosine < 1 - 1e-9
    provenance = Embedder(target).card.provenance
    assert provenance["precision"] == "int8"
    assert provenance["cosine to fp32"] == comparison.facts()["cosine to fp32"]


@pytest.mark.parametrize(("winner", "weights", "zero_point"), [(0, "for dot products", 0), (1, "for matrix tiles", -1)])
def test_the_faster_form_of_int8_is_kept(
    run: Path, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, winner: int, weights: str, zero_point: int
) -> None:
    monkeypatch.setattr(export_module, "fastest", lambda models, *_: models[winner])
    options = ExportOptions(precision="int8", calibration=photos)
    export_run_reduced(run, tmp_path / "m.onnx", options, AcceptanceCriteria(force=True))
    assert Embedder(tmp_path / "m.onnx").card.provenance["int8 weights"].startswith(weights)
    constants = {tensor.name: tensor for tensor in onnx.load(tmp_path / "m.onnx").graph.initializer}
    assert (onnx.numpy_helper.to_array(constants["conv1_weight_zero_point"]) == zero_point).all()


def test_fp16_takes_the_references_images(run: Path, tmp_path: Path) -> None:
    target = tmp_path / "half.onnx"
    report, comparison = export_run_reduced(
        run, target, ExportOptions(precision="fp16"), AcceptanceCriteria(force=True)
    )
    assert report.parity is not None
    assert 0 < report.parity.max_abs_error < 5e-3
    assert 1 - 1e-3 < comparison.min_cosine < 1 - 1e-9


def test_what_is_not_worth_having_is_not_written(
    run: Path, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    slow = PrecisionComparison(1, 2, 1.0, 1.0, images_per_s=50.0, single_images_per_s=100.0)
    options = ExportOptions(precision="int8", calibration=photos)
    monkeypatch.setattr(export_module, "compare_models", lambda *_: slow)
    with pytest.raises(
        ConfigError, match=r"int8 is not faster than fp32 here: .* The model was not written; --force writes"
    ):
        export_run_reduced(run, tmp_path / "new" / "m.onnx", options, AcceptanceCriteria())
    assert not list((tmp_path / "new").iterdir())
    monkeypatch.setattr(export_module, "compare_models", lambda *_: replace(slow, images_per_s=200.0))
    export_run_reduced(run, tmp_path / "new" / "m.onnx", options, AcceptanceCriteria())
    assert (tmp_path / "new" / "m.onnx").exists()


def test_recall_is_measured_where_it_is_asked_for(
    run: Path, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (photos / "class0" / "broken.jpg").unlink()
    fast = PrecisionComparison(1, 2, 1.0, 1.0, images_per_s=200.0, single_images_per_s=100.0)
    monkeypatch.setattr(export_module, "compare_models", lambda *_: fast)
    options = ExportOptions(precision="int8", calibration=photos)
    criteria = AcceptanceCriteria(dataset="folder", data=photos, max_recall_drop=100)
    _, comparison = export_run_reduced(run, tmp_path / "m.onnx", options, criteria)
    assert comparison.recall is not None
    assert comparison.single_recall is not None
    assert 0 <= comparison.recall <= 1
    monkeypatch.setattr(export_module, "_recall", lambda model, _: 0.6 if model.name == "fp32.onnx" else 0.5)
    with pytest.raises(ConfigError, match=r"int8 loses 10.00 points of recall@1 .*, more than the 0\.5 that"):
        export_run_reduced(run, tmp_path / "n.onnx", options, AcceptanceCriteria(dataset="folder", data=photos))


def test_too_few_images_to_calibrate_with(run: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    photo(tmp_path / "empty" / "one.jpg")
    for folder, message in ((tmp_path / "empty", "1 readable images"), (tmp_path / "none", "no such folder")):
        options = ExportOptions(precision="int8", calibration=folder)
        with pytest.raises(DataError, match=message):
            export_run_reduced(run, tmp_path / "m.onnx", options, AcceptanceCriteria())


def test_options_that_do_not_belong_together() -> None:
    with pytest.raises(ConfigError, match="int8 needs a folder"):
        ExportOptions(precision="int8")
    with pytest.raises(ConfigError, match="only int8 is calibrated, not fp16"):
        ExportOptions(precision="fp16", calibration=Path("photos"))
    with pytest.raises(ConfigError, match="precision 'int4' is unknown"):
        ExportOptions(precision="int4")
    with pytest.raises(ConfigError, match="calibration method 'mean' is unknown"):
        ExportOptions(calibration_method="mean")
    with pytest.raises(ConfigError, match="give --eval and --data together"):
        AcceptanceCriteria(dataset="folder")
