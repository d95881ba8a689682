"""Files of a run with its recall before training (``start.json``) and after it (``result.json``)."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, NamedTuple

from gluon_lifted.contract import MAX_START_BYTES, START_FILE
from gluon_lifted.errors import RunError
from gluon_lifted.files import replaced_file
from gluon_lifted.metrics.recall_comparison import RecallComparison

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

RESULT_FILE = "result.json"
UNUSABLE = (OSError, KeyError, TypeError, ValueError, AttributeError, RecursionError)


class Baselines(NamedTuple):
    """Numbers of images and classes, and name -> recall@1 in [0, 1]."""

    images: str
    recall: dict[str, float]


def write_recall(path: Path, values: dict[str, Any]) -> None:
    """Write one of the files: complete or not at all. Raises `RunError` if it cannot be written."""
    try:
        with replaced_file(path) as temporary:
            temporary.write_text(json.dumps(values, indent=2))
    except OSError as error:
        raise RunError(
            f"{path}: cannot be written ({error.strerror}). Make room, and run the same command with --resume."
        ) from None


def read_start(run: Path, labels: NDArray[np.int64]) -> RecallComparison | None:
    """Read the recall before training of images with these labels; None if missing, damaged or for other images."""
    try:
        return RecallComparison.from_json(_read(run / START_FILE), labels)
    except UNUSABLE:
        return None


def read_baselines(run: Path) -> Baselines:
    """Read recall@1 of what was measured before training. Empty if the file is missing or damaged."""
    try:
        start = _read(run / START_FILE)
        recall = {str(entry["name"]): entry["recall"]["1"]["value"] for entry in start["embeddings"]}
        recall = {name: float(value) for name, value in recall.items() if 0 <= value <= 1}
        return Baselines(f"{int(start['images']):,} images, {int(start['classes']):,} classes", recall)
    except UNUSABLE:
        return Baselines("", {})


def _read(path: Path) -> dict[str, Any]:
    if path.stat().st_size > MAX_START_BYTES:
        raise ValueError(f"{path}: has more than {MAX_START_BYTES:,} bytes")
    values: dict[str, Any] = json.loads(path.read_text())
    return values
