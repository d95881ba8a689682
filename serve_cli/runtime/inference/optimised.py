"""onnxruntime's optimised graph, kept next to the model: the next session of this machine starts without that work."""

from __future__ import annotations

import hashlib
import os
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from gluon_lifted.files import replaced_file
from gluon_lifted.machine.cpus import instruction_sets

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

SUFFIX = ".optimised.onnx"


def open_optimised(model: Path, onnxruntime: Any, start: Callable[[Path, Any], Any], options: Any) -> Any:
    """Start a CPU session from the optimised graph if there is one for this model, onnxruntime and processor.

    Parameters
    ----------
    model : Path
    onnxruntime : module
    start : callable
        Path, options -> session.
    options : SessionOptions
        For the model itself; changed.

    Returns
    -------
    InferenceSession
        Where nothing can be kept, in a folder that cannot be written, for instance, it is one of the model itself.
    """
    kept = optimised_path(model, onnxruntime.__version__)
    if kept.is_file():
        level = options.graph_optimization_level
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
        with suppress(Exception):  # damaged: onnxruntime's errors have no base class of their own
            return start(kept, options)
        options.graph_optimization_level = level
    if not os.access(model.parent, os.W_OK):
        return start(model, options)
    try:
        with replaced_file(kept) as temporary:
            options.optimized_model_filepath = str(temporary)
            session = start(model, options)
    except OSError:
        options.optimized_model_filepath = ""
        return start(model, options)
    _remove_others(model, kept)
    return session


def optimised_path(model: Path, version: str) -> Path:
    """Where the optimised graph is kept; another one for any other state of the file, onnxruntime or processor."""
    state = model.stat()
    key = f"{version} {instruction_sets()} {state.st_size} {state.st_mtime_ns}"
    return model.with_name(f".{model.name}.{hashlib.sha256(key.encode()).hexdigest()[:16]}{SUFFIX}")


def _remove_others(model: Path, kept: Path) -> None:
    """Graphs of earlier states of the model."""
    for path in model.parent.glob(f".{model.name}.*{SUFFIX}"):
        if path != kept:
            with suppress(OSError):
                os.unlink(path)
