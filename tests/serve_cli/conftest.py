from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from serve_cli.cli.main import main
from tests.serve_cli.photos import photo
from tests.serve_cli.tiny_model import write_model

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def model(tmp_path: Path) -> Path:
    pytest.importorskip("onnxruntime", reason="serving needs onnxruntime")
    return write_model(tmp_path / "tiny.onnx")


@pytest.fixture
def album(tmp_path: Path) -> Path:
    """Three classes of four images each, one sub-folder a class."""
    for name in ("cat", "dog", "eel"):
        for number in range(4):
            photo(tmp_path / "album" / name / f"{number}.jpg", seed=ord(name[0]) * 10 + number)
    return tmp_path / "album"


@pytest.fixture
def lifted(monkeypatch, capfd):
    """Run a command; return exit status, stdout, stderr."""

    def run(*words):
        monkeypatch.setattr("sys.argv", ["lifted", *map(str, words)])
        with pytest.raises(SystemExit) as stop:
            main()
        return stop.value.code or 0, *capfd.readouterr()

    return run
