from __future__ import annotations

from typing import TYPE_CHECKING

import onnx
import pytest

from export.errors import MalformedModelError
from export.model_file import read_model, write_model
from gluon_lifted.errors import ConfigError

if TYPE_CHECKING:
    from pathlib import Path


def test_written_model_is_read_again(tmp_path: Path) -> None:
    model = onnx.ModelProto(producer_name="test")
    path = tmp_path / "new" / "model.onnx"
    assert write_model(path, model) == path.stat().st_size
    assert read_model(path) == model


@pytest.mark.parametrize("content", [b"not a model", b"\xff" * 100])
def test_another_file_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "model.onnx").write_bytes(content)
    with pytest.raises(MalformedModelError, match=r"model\.onnx: not an ONNX model"):
        read_model(tmp_path / "model.onnx")


def test_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(MalformedModelError, match=r"none\.onnx: cannot be read"):
        read_model(tmp_path / "none.onnx")


def test_file_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(ConfigError, match="cannot be written"):
        write_model(tmp_path / "file" / "model.onnx", onnx.ModelProto())
