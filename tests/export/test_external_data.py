"""Models above protobuf's limit, by a limit that is lowered: the constants are in a second file."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx.reference import ReferenceEvaluator

from export import ExportOptions, add_provenance, export_run, verify_file
from export import model_file as model_file_module
from export.errors import MalformedModelError, ParityError
from export.external_data import ALIGNMENT, external_tensors, inlined, map_constants
from export.graph import model as model_module
from export.model_file import read_model, write_model
from export.runner import open_model
from gluon_lifted.errors import ConfigError
from tests.export.mxnet_files import npz_bytes, write_run
from tests.export.networks import small_network, small_reference


@pytest.fixture(autouse=True)
def _low_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(model_module, "MAX_INLINE_BYTES", 1000)
    monkeypatch.setattr(model_module, "MIN_EXTERNAL_BYTES", 100)


@pytest.fixture
def run(tmp_path: Path) -> Path:
    net = small_network()
    return write_run(tmp_path / "run", net, small_reference(net))


def files(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if path.is_file())


def data_of(model: Path) -> Path:
    (data,) = model.parent.glob("*.data")
    return data


def test_constants_are_in_a_second_file_as_onnx_reads_it(run: Path, tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    report = export_run(run, path)
    data = data_of(path)
    assert data.name == f"model.onnx.{hashlib.sha256(data.read_bytes()).hexdigest()[:16]}.data"
    assert files(tmp_path) == ["model.onnx", data.name]
    assert report.size_bytes == path.stat().st_size + data.stat().st_size
    assert report.parity is not None
    assert report.parity.engine == "onnxruntime"
    own = {tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in onnx.load(path).graph.initializer}
    np.testing.assert_array_equal(own["fc_weight"], small_network().params["fc_weight"])
    named = external_tensors(onnx.load(path, load_external_data=False))
    assert [tensor.name for tensor in named] == ["conv1_weight", "fc_weight"]
    for tensor in named:
        assert int({entry.key: entry.value for entry in tensor.external_data}["offset"]) % ALIGNMENT == 0


def test_verify_reads_both_files(run: Path, tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    report = export_run(run, path)
    assert verify_file(path, run) == report.parity
    content = bytearray(data_of(path).read_bytes())
    content[3] ^= 1  # of a float32's exponent
    data_of(path).write_bytes(content)
    with pytest.raises(ParityError, match="The first node that differs"):
        verify_file(path, run)


def test_parity_is_checked_before_a_file_is_written(run: Path, tmp_path: Path) -> None:
    reference = small_reference(small_network())
    reference["embedding"] = reference["embedding"] + np.float32(0.1)
    (run / "reference.npz").write_bytes(npz_bytes(reference))
    with pytest.raises(ParityError, match=r"The model was not written\.$"):
        export_run(run, tmp_path / "model.onnx")
    assert files(tmp_path) == []


def test_constants_are_put_back_for_onnx_itself(run: Path, tmp_path: Path) -> None:
    export_run(run, tmp_path / "model.onnx")
    model = read_model(tmp_path / "model.onnx")
    constants = map_constants(model, tmp_path / "model.onnx")
    data = small_reference(small_network())["data"]
    whole = inlined(model, constants)
    assert not external_tensors(whole)
    expected = ReferenceEvaluator(whole).run(None, {"data": data})[0]
    np.testing.assert_allclose(open_model(model, constants).run(["embedding"], {"data": data})[0], expected, atol=1e-6)


def test_int8_is_refused(run: Path, tmp_path: Path) -> None:
    from PIL import Image

    (tmp_path / "photos").mkdir()
    Image.new("RGB", (30, 30)).save(tmp_path / "photos" / "a.png")
    options = ExportOptions(precision="int8", calibration=tmp_path / "photos")
    with pytest.raises(ConfigError, match="networks of 2 GiB or more cannot be exported in int8"):
        export_run(run, tmp_path / "model.onnx", options)


def test_provenance_is_added_to_both_files(run: Path, tmp_path: Path) -> None:
    path, copy = tmp_path / "model.onnx", tmp_path / "other" / "copy.onnx"
    report = export_run(run, path)
    add_provenance(path, copy, {"speed": "fast"})
    assert verify_file(copy, run) == report.parity
    before = files(tmp_path)
    add_provenance(path, path, {"speed": "slow"})
    assert files(tmp_path) == before
    assert verify_file(path, run) == report.parity


def test_old_data_are_removed_with_the_model_they_belong_to(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "model.onnx"
    other = "model.onnx.data", "xmodel.onnx.0123456789abcdef.data", "model.onnx.0123456789abcdef.data.bak"
    for name in other:
        (tmp_path / name).write_bytes(b"mine")
    (tmp_path / "model.onnx.0123456789abcdef.data").write_bytes(b"of an older model")
    export_run(run, path)
    assert len(files(tmp_path)) == 5
    monkeypatch.setattr(model_module, "MAX_INLINE_BYTES", 10**9)
    export_run(run, path)
    assert files(tmp_path) == sorted(["model.onnx", *other])


@pytest.mark.parametrize("failing", ["data", "model"])
def test_failure_while_writing_leaves_the_old_pair(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failing: str
) -> None:
    """Whether the data or the model itself cannot be written: the old model still finds its own data."""
    path = tmp_path / "model.onnx"
    report = export_run(run, path)
    old = {name: (tmp_path / name).read_bytes() for name in files(tmp_path)}
    model = read_model(path)
    constants = {name: array + 1 for name, array in map_constants(model, path).items()}
    if failing == "data":
        monkeypatch.setattr(model_file_module, "data_chunks", _full_disk)
    else:
        monkeypatch.setattr(Path, "write_bytes", _full_disk)
    with pytest.raises(ConfigError, match="cannot be written"):
        write_model(path, model, constants)
    monkeypatch.undo()
    assert {name: (tmp_path / name).read_bytes() for name in files(tmp_path)} == old
    assert verify_file(path, run) == report.parity


def _full_disk(*_: object) -> Any:
    raise OSError(28, "No space left on device")


def _damage(model: onnx.ModelProto, key: str, value: str) -> None:
    for entry in external_tensors(model)[0].external_data:
        if entry.key == key:
            entry.value = value


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("location", "/etc/passwd", "outside its folder"),
        ("location", "../secret", "outside its folder"),
        ("location", "a/../../secret", "outside its folder"),
        ("location", "", "outside its folder"),
        ("location", "a\0b", "outside its folder"),
        ("location", "none.data", r"none\.data: cannot be read \(No such file"),
        ("offset", "-1", "declares offset '-1'"),
        ("offset", "9" * 17, "at offset 99,999,999,999,999,999 of a file of"),
        ("offset", "9" * 40, "declares offset '9999"),
        ("length", "4", "but declares 4 at offset"),
        ("length", "x", "length 'x'"),
    ],
)
def test_hostile_locations_are_refused(run: Path, tmp_path: Path, key: str, value: str, message: str) -> None:
    path = tmp_path / "model.onnx"
    export_run(run, path)
    model = onnx.load(path, load_external_data=False)
    _damage(model, key, value)
    path.write_bytes(model.SerializeToString())
    with pytest.raises(MalformedModelError, match=message):
        verify_file(path, run)


@pytest.mark.parametrize(
    "change",
    [
        {"dims": [2**40, 2**40]},
        {"dims": [-1]},
        {"data_type": 999},
        {"data_type": onnx.TensorProto.STRING, "dims": [54]},  # of 8 bytes each, as NumPy's objects: as many as before
    ],
)
def test_hostile_tensors_are_refused(run: Path, tmp_path: Path, change: dict[str, Any]) -> None:
    path = tmp_path / "model.onnx"
    export_run(run, path)
    model = onnx.load(path, load_external_data=False)
    tensor = external_tensors(model)[0]
    tensor.data_type = change.get("data_type", tensor.data_type)
    if "dims" in change:
        del tensor.dims[:]
        tensor.dims.extend(change["dims"])
    path.write_bytes(model.SerializeToString())
    with pytest.raises(MalformedModelError):
        verify_file(path, run)
