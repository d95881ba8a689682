"""Cache onnxruntime's optimized graphs, so that the next session of a model starts without optimizing."""

from __future__ import annotations

import hashlib
import os
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from gluon_lifted.files import replaced_file
from gluon_lifted.hardware.cpus import instruction_sets
from serve_cli.model.cache import cache_folder, evict, mark_used
from serve_cli.model.model_hash import external_data

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

GRAPHS = "graphs"


def open_optimized(model: Path, model_hash: str, onnxruntime: Any, start: Callable[[Path, Any], Any]) -> Any:
    """Start a CPU session from the cached graph of this model, onnxruntime and processor, and cache a missing one.

    Parameters
    ----------
    model : Path
        The ONNX file that ``start`` loads if no graph is cached.
    model_hash : str
        `model_sha256`: a graph belongs to a model's content, regardless of its file name or time.
    onnxruntime : module
        The imported package.
    start : callable
        Takes a path and a function that changes the session options. Returns the session.

    Returns
    -------
    InferenceSession
        Started from the model itself if nothing can be cached.
    """
    folder = cache_folder(GRAPHS)
    if folder is None or external_data(model):  # the graph would refer to these files relative to the model
        return start(model, _unchanged)
    kept = folder / graph_name(model_hash, onnxruntime.__version__)
    if kept.is_file():
        with suppress(Exception):  # damaged: onnxruntime's errors have no base class of their own
            session = start(kept, _not_optimizing(onnxruntime))
            mark_used(kept)
            return session
    before = _identity(model)
    try:
        with replaced_file(kept) as temporary:
            session = start(model, _saving_to(temporary))
            if _identity(model) != before:
                raise OSError(f"{model} was replaced while it was read")
    except Exception:  # disk full, graph over 2 GiB, or a bad model, which the next line reports
        return start(model, _unchanged)
    evict(folder)
    return session


def graph_name(model_hash: str, version: str) -> str:
    """Return the file name of a cached graph, unique per model, onnxruntime version and processor."""
    key = f"{model_hash} {version} {instruction_sets()}"
    return f"{hashlib.sha256(key.encode()).hexdigest()[:32]}.onnx"


def _unchanged(options: Any) -> None:
    pass


def _not_optimizing(onnxruntime: Any) -> Callable[[Any], None]:
    def change(options: Any) -> None:
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL

    return change


def _saving_to(path: Path) -> Callable[[Any], None]:
    def change(options: Any) -> None:
        options.optimized_model_filepath = str(path)

    return change


def _identity(path: Path) -> tuple[int, int, int]:
    """Return values that change with every write to a file. Unlike the modification time, ctime cannot be set."""
    status = os.stat(path)
    return status.st_ino, status.st_size, status.st_ctime_ns
