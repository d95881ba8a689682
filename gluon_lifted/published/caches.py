"""Where published files are cached: in the folders of the libraries that publish them."""

from __future__ import annotations

import os
from pathlib import Path

from gluon_lifted.published.weights import HubFile, WebFile


def cached_path(file: WebFile) -> Path:
    """Return the path of a file from the web in the cache of `torch.hub`, or of `onnx.hub` for ``.onnx``."""
    if file.name.endswith(".onnx"):
        return _home("ONNX_HOME", "onnx") / "hub" / f"{file.sha256}_{file.name}"  # named as `onnx.hub` does
    return _home("TORCH_HOME", "torch") / "hub" / "checkpoints" / file.name


def is_cached(location: WebFile | HubFile) -> bool:
    """Whether a cache has the file, verified or not. Needs neither the network nor `huggingface_hub`."""
    if isinstance(location, WebFile):
        return cached_path(location).is_file()
    folder = _hub_cache() / f"models--{location.repository.replace('/', '--')}" / "snapshots"
    return any(folder.glob(f"{location.revision or '*'}/model.safetensors"))


def gluoncv_models() -> Path:
    """Return the folder in which GluonCV and MXNet cache models."""
    return Path(os.environ.get("MXNET_HOME") or Path.home() / ".mxnet") / "models"


def _hub_cache() -> Path:
    """Return the folder that `huggingface_hub` documents for its variables HF_HUB_CACHE and HF_HOME."""
    if cache := os.environ.get("HF_HUB_CACHE"):
        return Path(cache).expanduser()
    return _home("HF_HOME", "huggingface") / "hub"


def _home(variable: str, name: str) -> Path:
    if home := os.environ.get(variable):
        return Path(home).expanduser()
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache").expanduser() / name
