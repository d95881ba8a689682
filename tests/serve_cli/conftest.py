from __future__ import annotations

from pathlib import Path

import pytest

from .photos import photo
from .tiny_model import write_model


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
