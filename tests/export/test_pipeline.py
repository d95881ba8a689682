from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest

from export import (
    ExportOptions,
    N,
    NetworkInputs,
    export_network,
    export_run,
    verify_file,
)
from export.errors import MalformedModelError, ParityError, UnsupportedOpError
from gluon_lifted.card import ModelCard
from gluon_lifted.contract import CARD_KEY, SavedNetwork
from gluon_lifted.errors import ConfigError, LiftedError, RunError
from tests.export.mxnet_files import card, npz_bytes, write_run
from tests.export.networks import (
    CROP,
    DIM,
    small_network,
    small_reference,
)

ROW = (3, CROP, CROP)
FILES = ["model-symbol.json", "model-0000.params", "card.json", "reference.npz"]
INPUTS = NetworkInputs({"data": (N, *ROW)})


@pytest.fixture
def run(tmp_path: Path) -> Path:
    net = small_network()
    return write_run(tmp_path / "run", net, small_reference(net))


def test_run_becomes_a_verified_model(run: Path, tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    report = export_run(run, path)
    assert report.path == path
    assert report.size_bytes == path.stat().st_size
    assert (report.opset, report.num_nodes) == (17, len(onnx.load(path).graph.node))
    assert report.num_parameters == sum(array.size for array in small_network().params.values())
    assert report.parity.batch_sizes == (1, 2, 5)
    assert report.parity.max_abs_error < 1e-6
    assert report.seconds > 0
    reference = small_reference(small_network())
    actual = onnxruntime.InferenceSession(path).run(["embedding"], {"data": reference["data"]})[0]
    np.testing.assert_allclose(actual, reference["embedding"], atol=1e-6)
    assert [path.name for path in tmp_path.iterdir() if path.is_file()] == ["model.onnx"]


def test_model_carries_card_and_provenance(run: Path, tmp_path: Path) -> None:
    export_run(run, tmp_path / "model.onnx")
    metadata = {prop.key: prop.value for prop in onnx.load(tmp_path / "model.onnx").metadata_props}
    assert ModelCard.from_json(metadata[CARD_KEY], "model.onnx") == card(CROP, DIM)
    assert metadata["lifted.symbol_sha256"] == hashlib.sha256((run / FILES[0]).read_bytes()).hexdigest()
    assert metadata["lifted.params_sha256"] == hashlib.sha256((run / FILES[1]).read_bytes()).hexdigest()


def test_same_run_gives_the_same_bytes(run: Path, tmp_path: Path) -> None:
    first, second = tmp_path / "a.onnx", tmp_path / "b.onnx"
    export_run(run, first)
    export_run(run, second)
    assert first.read_bytes() == second.read_bytes()


def test_paths_may_be_text(run: Path, tmp_path: Path) -> None:
    report = export_run(str(run), str(tmp_path / "model.onnx"))
    assert report.path == tmp_path / "model.onnx"
    assert verify_file(str(report.path), str(run)) == report.parity


def test_opset_is_kept(run: Path, tmp_path: Path) -> None:
    assert export_run(run, tmp_path / "model.onnx", ExportOptions(opset=13)).opset == 13
    assert onnx.load(tmp_path / "model.onnx").opset_import[0].version == 13


def test_missing_parents_are_made_and_an_old_model_is_replaced(run: Path, tmp_path: Path) -> None:
    path = tmp_path / "a" / "b" / "model.onnx"
    export_run(run, path)
    path.write_bytes(b"old")
    export_run(run, path)
    assert onnx.load(path).graph.output[0].name == "embedding"


@pytest.mark.parametrize("name", FILES)
def test_missing_file_is_named(run: Path, tmp_path: Path, name: str) -> None:
    (run / name).unlink()
    with pytest.raises(RunError, match=rf"run: the run folder lacks {name}"):
        export_run(run, tmp_path / "model.onnx")


def test_training_that_has_not_finished_is_said(run: Path, tmp_path: Path) -> None:
    for name in FILES:
        (run / name).unlink()
    with pytest.raises(RunError, match="not a run folder, or its training has not finished"):
        export_run(run, tmp_path / "model.onnx")


def test_path_that_is_no_folder_is_refused(run: Path, tmp_path: Path) -> None:
    with pytest.raises(RunError, match="none: no such folder"):
        export_run(tmp_path / "none", tmp_path / "model.onnx")
    with pytest.raises(RunError, match=r"cannot be read \(File name too long"):
        export_run(tmp_path / ("x" * 5000), tmp_path / "model.onnx")
    with pytest.raises(RunError, match=r"card\.json: not a folder"):
        export_run(run / "card.json", tmp_path / "model.onnx")


def _rewrite_json(path: Path, change: dict[str, Any]) -> None:
    path.write_text(json.dumps(json.loads(path.read_text()) | change))


def _other_crop(run: Path) -> None:
    (run / "card.json").write_text(card(CROP - 1, DIM).to_json())


def _break_parity(run: Path) -> None:
    reference = small_reference(small_network())
    reference["embedding"] = reference["embedding"] + np.float32(0.1)
    (run / "reference.npz").write_bytes(npz_bytes(reference))


def _other_operator(run: Path) -> None:
    path = run / "model-symbol.json"
    path.write_text(path.read_text().replace('"LRN"', '"erfinv"'))


DAMAGES: dict[str, tuple[Any, type[LiftedError], str]] = {
    "parity": (_break_parity, ParityError, r"by up to 1\.0e-01, more than .*The model was not written\.$"),
    "operator": (_other_operator, UnsupportedOpError, "erfinv x1 .first: node 'norm1'"),
    "symbol": (lambda run: (run / FILES[0]).write_bytes(b"{"), MalformedModelError, "not a symbol in JSON"),
    "params": (lambda run: (run / FILES[1]).write_bytes(b"{"), MalformedModelError, "the header needs 16 bytes"),
    "reference": (lambda run: (run / FILES[3]).write_bytes(b"{"), MalformedModelError, "not a readable .npz file"),
    "card": (lambda run: (run / FILES[2]).write_bytes(b"{}"), RunError, "the model card is damaged"),
    "card deep": (lambda run: (run / FILES[2]).write_bytes(b"[" * 10**6), LiftedError, "card"),
    "card bytes": (lambda run: (run / FILES[2]).write_bytes(b"\xff"), RunError, "not UTF-8"),
    "card text": (lambda run: _rewrite_json(run / FILES[2], {"name": "\ud800"}), RunError, "surrogates not allowed"),
    "dim": (lambda run: _rewrite_json(run / FILES[2], {"dim": 7}), RunError, "The files belong to different runs"),
    "crop": (_other_crop, RunError, "says crop 18 px and dim 6; .* images .3, 19, 19."),
    "huge card": (
        lambda run: (run / FILES[2]).write_bytes(b" " * 2**21),
        RunError,
        "larger than 1,048,576 bytes, so it is not a model card",
    ),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_failure_leaves_the_old_model(run: Path, tmp_path: Path, damage: str) -> None:
    change, kind, message = DAMAGES[damage]
    change(run)
    path = tmp_path / "out" / "model.onnx"
    with pytest.raises(kind, match=message):
        export_run(run, path)
    assert not path.parent.exists()
    path.parent.mkdir()
    path.write_bytes(b"old")
    with pytest.raises(kind, match=message):
        export_run(run, path)
    assert path.read_bytes() == b"old"
    assert list(path.parent.iterdir()) == [path]


def test_embedding_of_another_width_than_the_cards_is_refused(tmp_path: Path) -> None:
    net = small_network()
    reference = small_reference(net)
    reference["embedding"] = reference["embedding"][:, :4]
    with pytest.raises(MalformedModelError, match=r"the outputs are {'embedding': \(N, 6\)}, but the reference has"):
        export_run(write_run(tmp_path / "run", net, reference), tmp_path / "model.onnx")


def test_path_that_cannot_be_written_is_refused(run: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="is a folder"):
        export_run(run, tmp_path)
    with pytest.raises(ConfigError, match="File name too long"):
        export_run(run, tmp_path / ("x" * 5000))
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(ConfigError, match=r"model\.onnx: cannot be written"):
        export_run(run, tmp_path / "file" / "model.onnx")


def test_unreadable_file_is_named(run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened = Path.open

    def refuse(path: Path, *arguments: Any) -> Any:
        if path.name == "model-symbol.json":
            raise PermissionError(13, "Permission denied")
        return opened(path, *arguments)

    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(MalformedModelError, match=r"model-symbol\.json: cannot be read \(Permission denied\)"):
        export_run(run, tmp_path / "model.onnx")


def test_failed_write_leaves_nothing(run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "out" / "model.onnx"
    path.parent.mkdir()
    path.write_bytes(b"old")

    def full(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(ConfigError, match=r"cannot be written \(No space left on device\)"):
        export_run(run, path)
    assert path.read_bytes() == b"old"
    assert list(path.parent.iterdir()) == [path]


@pytest.fixture
def network(run: Path) -> SavedNetwork:
    return SavedNetwork(run / FILES[0], run / FILES[1])


def test_any_network_is_exported_and_verified_with_a_reference(network: SavedNetwork, tmp_path: Path) -> None:
    arrays = small_reference(small_network())
    arrays["unit_output"] = arrays.pop("embedding")
    (tmp_path / "mine.npz").write_bytes(npz_bytes(arrays))
    report = export_network(network, INPUTS, tmp_path / "net.onnx", reference=tmp_path / "mine.npz")
    assert report.parity is not None
    assert report.parity.max_abs_error < 1e-6
    assert verify_file(tmp_path / "net.onnx", tmp_path / "mine.npz") == report.parity
    model = onnx.load(tmp_path / "net.onnx")
    assert [output.name for output in model.graph.output] == ["unit_output"]
    arrays["unit_output"] = arrays["unit_output"] + np.float32(0.1)
    (tmp_path / "other.npz").write_bytes(npz_bytes(arrays))
    with pytest.raises(ParityError, match="output 'unit_output' differs from MXNet"):
        export_network(network, INPUTS, tmp_path / "other.onnx", reference=tmp_path / "other.npz")
    assert not (tmp_path / "other.onnx").exists()


def test_without_a_reference_nothing_is_claimed(network: SavedNetwork, tmp_path: Path) -> None:
    assert export_network(network, INPUTS, tmp_path / "net.onnx").parity is None


def test_labels_of_a_loss_are_left_out(tmp_path: Path) -> None:
    net = small_network()
    net.op("SoftmaxOutput", "softmax", [len(net.nodes) - 1, net.variable("softmax_label")])
    run = write_run(tmp_path / "run", net, small_reference(small_network()))
    files = SavedNetwork(run / FILES[0], run / FILES[1])
    export_network(files, INPUTS, tmp_path / "net.onnx")
    images = small_reference(small_network())["data"]
    actual = onnxruntime.InferenceSession(tmp_path / "net.onnx").run(["softmax_output"], {"data": images})[0]
    np.testing.assert_allclose(actual.sum(axis=1), 1, rtol=1e-5)


def test_a_run_verifies_its_own_model(run: Path, tmp_path: Path) -> None:
    report = export_run(run, tmp_path / "model.onnx")
    assert verify_file(tmp_path / "model.onnx", run) == report.parity


def test_parameters_that_the_card_does_not_describe_are_refused(run: Path, tmp_path: Path) -> None:
    """One bit of one weight, too little for the parity to notice."""
    path = run / FILES[1]
    described = json.loads((run / "card.json").read_text())
    described["provenance"]["params sha256"] = hashlib.sha256(path.read_bytes()).hexdigest()
    (run / "card.json").write_text(json.dumps(described))
    assert export_run(run, tmp_path / "model.onnx").parity is not None
    content = bytearray(path.read_bytes())
    content[content.index(small_network().params["fc_weight"].tobytes())] ^= 1
    path.write_bytes(content)
    with pytest.raises(RunError, match=r"model-0000\.params does not match card\.json"):
        export_run(run, tmp_path / "model.onnx")


def _batch_norms(path: Path) -> list[str]:
    return [node.name for node in onnx.load(path).graph.node if node.op_type == "BatchNormalization"]


def test_batch_norm_is_kept_with_the_trained_parameters(run: Path, tmp_path: Path) -> None:
    path, options = tmp_path / "model.onnx", ExportOptions(keep_batch_norm=True)
    report = export_run(run, path, options)
    assert report.parity is not None
    assert _batch_norms(path) == ["bn"]
    own = {tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in onnx.load(path).graph.initializer}
    for name, array in small_network().params.items():
        np.testing.assert_array_equal(own[name], array, err_msg=name)
    export_network(SavedNetwork(run / FILES[0], run / FILES[1]), INPUTS, path, options, reference=run / "reference.npz")
    assert _batch_norms(path) == ["bn"]
    export_run(run, path)
    assert _batch_norms(path) == []


def test_batch_norm_is_kept_in_half_precision(run: Path, tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    report = export_run(run, path, ExportOptions(keep_batch_norm=True, precision="fp16"))
    assert report.parity is not None
    assert _batch_norms(path) == ["bn"]
