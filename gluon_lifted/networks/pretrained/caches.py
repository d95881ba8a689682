"""Where published files are cached: in the folders of the libraries that publish them."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gluon_lifted.published.weights import WebFile


def cached_path(file: WebFile) -> Path:
    """Return the path of a file from the web in the cache of `torch.hub`, or of `onnx.hub` for ``.onnx``."""
    if file.name.endswith(".onnx"):
        return _home("ONNX_HOME", "onnx") / "hub" / f"{file.sha256}_{file.name}"  # named as `onnx.hub` does
    return _home("TORCH_HOME", "torch") / "hub" / "checkpoints" / file.name


def gluoncv_models() -> Path:
    """Return the folder in which GluonCV and MXNet cache models."""
    return Path(os.environ.get("MXNET_HOME") or Path.home() / ".mxnet") / "models"


def _home(variable: str, name: str) -> Path:
    if home := os.environ.get(variable):
        return Path(home).expanduser()
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache").expanduser() / name
