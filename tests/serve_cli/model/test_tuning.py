from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from gluon_lifted.errors import RunError
from serve_cli.model import tuning
from serve_cli.model.tuning import (
    DEFAULTS,
    LARGEST,
    Tuning,
    read_tuning,
    save_tuning,
)

if TYPE_CHECKING:
    from pathlib import Path

HASH = "0123456789abcdef" * 4


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the tuning of a model with that hash is kept."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    path = tmp_path / "gluon-lifted" / "tunings" / f"{HASH}.json"
    path.parent.mkdir(parents=True)
    return path


def test_what_was_saved_is_read(file: Path) -> None:
    assert save_tuning(HASH, "cpu", Tuning(16, 3)) == file
    save_tuning(HASH, "gpu", Tuning(256, 1))
    assert read_tuning(HASH, "cpu") == Tuning(16, 3)
    assert read_tuning(HASH, "gpu") == Tuning(256, 1)


def test_another_host_or_model_has_the_defaults(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save_tuning(HASH, "cpu", Tuning(16, 3))
    assert read_tuning("f" * 64, "cpu").batch_size == DEFAULTS["cpu"]
    with monkeypatch.context() as patch:
        patch.setattr(tuning, "usable_cpus", lambda: 99)
        assert read_tuning(HASH, "cpu") == Tuning(DEFAULTS["cpu"], 99)
    with monkeypatch.context() as patch:
        patch.setattr(tuning, "instruction_sets", lambda: "another")
        assert read_tuning(HASH, "cpu").batch_size == DEFAULTS["cpu"]
    assert read_tuning(HASH, "cpu") == Tuning(16, 3)


@pytest.mark.parametrize("content", ["", "[]", "{", "null", "\xff", "x" * (tuning.MAX_BYTES + 1), "[" * 60_000])
def test_damaged_file_counts_for_nothing(file: Path, content: str) -> None:
    file.write_text(content, encoding="latin-1")
    assert read_tuning(HASH, "cpu").batch_size == DEFAULTS["cpu"]
    save_tuning(HASH, "cpu", Tuning(16, 3))
    assert read_tuning(HASH, "cpu") == Tuning(16, 3)


@pytest.mark.parametrize("value", [0, -1, LARGEST + 1, 1.5, "8", None, True, [8]])
def test_values_out_of_bounds_count_for_nothing(file: Path, value: object) -> None:
    save_tuning(HASH, "cpu", Tuning(16, 3))
    (key,) = json.loads(file.read_text())
    file.write_text(json.dumps({key: {"batch_size": value, "sessions": 3}}))
    assert read_tuning(HASH, "cpu").sessions != 3


def test_where_nothing_can_be_kept(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file.mkdir()
    with pytest.raises(RunError, match="cannot be written"):
        save_tuning(HASH, "cpu", Tuning(16, 3))
    monkeypatch.setenv("XDG_CACHE_HOME", "/dev/null")
    assert read_tuning(HASH, "cpu").batch_size == DEFAULTS["cpu"]
    with pytest.raises(RunError, match="cache folder cannot be written to; set XDG_CACHE_HOME"):
        save_tuning(HASH, "cpu", Tuning(16, 3))
