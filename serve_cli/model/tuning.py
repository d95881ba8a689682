"""The best settings of a model on this host, as `lifted bench --save` stores them in the user's cache folder."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, TypeGuard

from gluon_lifted.errors import RunError
from gluon_lifted.files import replaced_file
from gluon_lifted.hardware.cpus import instruction_sets, usable_cpus
from serve_cli.model.cache import cache_folder, evict, mark_used

if TYPE_CHECKING:
    from pathlib import Path

    from serve_cli.choices import Device

TUNINGS = "tunings"
MAX_BYTES = 1 << 16  # per file
MAX_TOTAL_BYTES = 1 << 24  # all files together
LARGEST = 4096


@dataclass(frozen=True)
class Tuning:
    """Images per batch, and batches side by side on the CPU."""

    batch_size: int
    sessions: int


# Cores that share a batch wait for each other; the activations of a small batch stay in a core's cache.
DEFAULTS: dict[Device, int] = {"cpu": 8, "openvino": 8, "gpu": 128, "tensorrt": 128}


def read_tuning(model_hash: str, device: Device) -> Tuning:
    """Read the tuning of this model, device and host, or return the defaults: small batches, one per core.

    Parameters
    ----------
    model_hash : str
        `model_sha256`: a tuning belongs to a model's content, regardless of its file name.
    device : Device
        Each device has its own tuning.
    """
    folder = cache_folder(TUNINGS)
    entry = _read(folder / f"{model_hash}.json").get(_key(device)) if folder is not None else None
    batch_size, sessions = (entry.get(name) if isinstance(entry, dict) else None for name in ("batch_size", "sessions"))
    if _sensible(batch_size) and _sensible(sessions):
        return Tuning(batch_size, sessions)
    return Tuning(DEFAULTS[device], usable_cpus())


def save_tuning(model_hash: str, device: Device, tuning: Tuning) -> Path:
    """Store a tuning with those of other devices. Raises `RunError` if the file cannot be written."""
    folder = cache_folder(TUNINGS)
    if folder is None:
        raise RunError("the cache folder cannot be written to; set XDG_CACHE_HOME to a folder that you own.")
    path = folder / f"{model_hash}.json"
    known = {**_read(path), _key(device): asdict(tuning)}
    try:
        with replaced_file(path) as temporary:
            temporary.write_text(json.dumps(known, indent=2) + "\n", encoding="utf-8")
    except OSError as error:
        raise RunError(
            f"{path}: cannot be written ({error}); free some space, or set XDG_CACHE_HOME to another folder."
        ) from None
    mark_used(path)
    evict(folder, MAX_TOTAL_BYTES)
    return path


def _sensible(value: object) -> TypeGuard[int]:
    return type(value) is int and 1 <= value <= LARGEST  # True is an int, too


def _read(path: Path) -> dict[str, object]:
    try:
        if path.stat().st_size > MAX_BYTES:
            return {}
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    return content if isinstance(content, dict) else {}


def _key(device: Device) -> str:
    """Return a key per device, core count and processor: hosts may share a home folder."""
    processor = hashlib.sha256(instruction_sets().encode()).hexdigest()[:8]
    return f"{device}, {usable_cpus()} cores of {processor}"
