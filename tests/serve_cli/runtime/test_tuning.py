from __future__ import annotations

import json
from pathlib import Path

import pytest

from gluon_lifted.errors import RunError
from serve_cli.runtime.inference import tuning
from serve_cli.runtime.inference.tuning import DEFAULTS, LARGEST, Tuning, read_tuning, save_tuning, tuning_path


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "m.onnx"
    path.write_bytes(b"1234")
    return path


def test_what_was_saved_is_read(file: Path) -> None:
    assert save_tuning(file, "cpu", Tuning(16, 3)) == file.with_name("m.onnx.tuning.json")
    save_tuning(file, "gpu", Tuning(256, 1))
    assert read_tuning(file, "cpu") == Tuning(16, 3)
    assert read_tuning(file, "gpu") == Tuning(256, 1)


def test_another_machine_or_model_has_the_defaults(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save_tuning(file, "cpu", Tuning(16, 3))
    with monkeypatch.context() as patch:
        patch.setattr(tuning, "usable_cpus", lambda: 99)
        assert read_tuning(file, "cpu") == Tuning(DEFAULTS["cpu"], 99)
    with monkeypatch.context() as patch:
        patch.setattr(tuning, "instruction_sets", lambda: "another")
        assert read_tuning(file, "cpu").batch_size == DEFAULTS["cpu"]
    file.write_bytes(b"12345")
    assert read_tuning(file, "cpu").batch_size == DEFAULTS["cpu"]


@pytest.mark.parametrize("content", ["", "[]", "{", "null", "\xff", "x" * (tuning.MAX_BYTES + 1)])
def test_damaged_file_counts_for_nothing(file: Path, content: str) -> None:
    tuning_path(file).write_text(content, encoding="latin-1")
    assert read_tuning(file, "cpu").batch_size == DEFAULTS["cpu"]
    save_tuning(file, "cpu", Tuning(16, 3))
    assert read_tuning(file, "cpu") == Tuning(16, 3)


@pytest.mark.parametrize("value", [0, -1, LARGEST + 1, 1.5, "8", None, True, [8]])
def test_values_out_of_bounds_count_for_nothing(file: Path, value: object) -> None:
    save_tuning(file, "cpu", Tuning(16, 3))
    known = json.loads(tuning_path(file).read_text())
    (key,) = known
    tuning_path(file).write_text(json.dumps({key: {"batch_size": value, "sessions": 3}}))
    assert read_tuning(file, "cpu").sessions != 3


def test_folder_that_cannot_be_written(file: Path) -> None:
    tuning_path(file).mkdir()
    with pytest.raises(RunError, match="cannot be written"):
        save_tuning(file, "cpu", Tuning(16, 3))
