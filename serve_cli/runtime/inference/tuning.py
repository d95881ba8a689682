"""What `lifted bench --save` found best for a model on a machine, kept next to the model."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, TypeGuard

from gluon_lifted.errors import RunError
from gluon_lifted.files import replaced_file
from gluon_lifted.machine.cpus import instruction_sets, usable_cpus

if TYPE_CHECKING:
    from pathlib import Path

SUFFIX = ".tuning.json"
MAX_BYTES = 1 << 16
LARGEST = 4096


@dataclass(frozen=True)
class Tuning:
    """Images that go through the network together, and batches that go side by side on the CPU."""

    batch_size: int
    sessions: int


# Cores that share a batch wait for each other; activations of a small one stay in a core's cache.
DEFAULTS = {"cpu": 8, "openvino": 8, "gpu": 128, "tensorrt": 128}


def tuning_path(model: Path) -> Path:
    """Where it is kept: beside the model, under its name."""
    return model.with_name(model.name + SUFFIX)


def read_tuning(model: Path, device: str) -> Tuning:
    """What was found for this model, device and machine, or the defaults: small batches, one for each core."""
    found = _read(tuning_path(model)).get(_key(model, device))
    batch_size, sessions = (found.get(name) if isinstance(found, dict) else None for name in ("batch_size", "sessions"))
    if _sensible(batch_size) and _sensible(sessions):
        return Tuning(batch_size, sessions)
    return Tuning(DEFAULTS.get(device, 1), usable_cpus())


def save_tuning(model: Path, device: str, tuning: Tuning) -> Path:
    """Keep it beside what was found on other machines. Raises `RunError` if the file cannot be written."""
    path = tuning_path(model)
    known = {**_read(path), _key(model, device): asdict(tuning)}
    try:
        with replaced_file(path) as temporary:
            temporary.write_text(json.dumps(known, indent=2) + "\n", encoding="utf-8")
    except OSError as error:
        raise RunError(f"{path}: cannot be written ({error}).") from None
    return path


def _sensible(value: object) -> TypeGuard[int]:
    return type(value) is int and 1 <= value <= LARGEST  # True is an int, too


def _read(path: Path) -> dict[str, object]:
    try:
        if path.stat().st_size > MAX_BYTES:
            return {}
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _key(model: Path, device: str) -> str:
    """Another one for another device, number of cores, processor, or size of the file."""
    processor = hashlib.sha256(instruction_sets().encode()).hexdigest()[:8]
    size = model.stat().st_size if model.is_file() else 0
    return f"{device}, {usable_cpus()} cores of {processor}, {size} bytes"
