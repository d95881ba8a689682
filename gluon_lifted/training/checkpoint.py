"""Checkpoints of a run: everything needed to resume, one NumPy archive each. The newest two are kept, and the best.

An archive of plain arrays holds no code, unlike MXNet's pickle of an optimizer's state. It has a CRC-32 per array, so
damaged files are detected and the previous checkpoint is used.
"""

from __future__ import annotations

import zipfile
import zlib
from typing import TYPE_CHECKING

import numpy as np

from gluon_lifted.errors import RunError
from gluon_lifted.files import replaced_file, write_npz

if TYPE_CHECKING:
    from collections.abc import Callable, Collection
    from pathlib import Path

    from numpy.typing import NDArray

    State = dict[str, NDArray[np.generic]]

KEEP = 2
FOLDER = "checkpoints"


def save_checkpoint(run: Path, iteration: int, state: State, kept: Collection[int] = ()) -> None:
    """Write ``run/checkpoints/<iteration>.npz``, complete or not at all, and remove old checkpoints.

    Parameters
    ----------
    kept : collection of int
        Iterations whose checkpoints stay, besides the newest `KEEP`.

    Raises
    ------
    RunError
        If it cannot be written, for example on a full disk. Earlier checkpoints are unchanged.
    """
    folder = run / FOLDER
    path = folder / _name(iteration)
    try:
        folder.mkdir(exist_ok=True)
        with replaced_file(path) as temporary, temporary.open("wb") as file:
            write_npz(file, state)
            file.flush()
        for old in checkpoints(run)[:-KEEP]:
            if int(old.stem) not in kept:
                old.unlink()
    except OSError as error:
        raise RunError(
            f"{path}: cannot be written ({error.strerror}). {_newest(run)}. "
            "Make room, and run the same command with --resume."
        ) from None


def _newest(run: Path) -> str:
    earlier = checkpoints(run)
    return f"The previous checkpoint, {earlier[-1].name}, is intact" if earlier else "There is no earlier checkpoint"


def load_checkpoint(run: Path, restore: Callable[[State], None], on_note: Callable[[str], None]) -> int:
    """Restore the newest intact checkpoint and return its iteration.

    Parameters
    ----------
    restore : callable
        Restores a state, or raises KeyError or ValueError if it does not fit.
    on_note : callable
        Called with a sentence for each damaged checkpoint that was skipped.

    Raises
    ------
    RunError
        If the run has no usable checkpoint.
    """
    candidates = checkpoints(run)
    for path in reversed(candidates):
        problem = _problem(path, restore)
        if problem is None:
            return int(path.stem)
        on_note(f"{path}: damaged ({problem}). Trying the previous checkpoint.")
    if candidates:
        raise RunError(f"{run}: its checkpoints ({len(candidates)}) are all damaged. Train again into a new folder.")
    raise RunError(f"{run}: has no checkpoint to resume from. Train again into a new folder.")


def restore_checkpoint(run: Path, iteration: int, restore: Callable[[State], None]) -> str | None:
    """Restore the checkpoint of an iteration. Return what is wrong with it, or None."""
    return _problem(run / FOLDER / _name(iteration), restore)


def _name(iteration: int) -> str:
    return f"{iteration:08d}.npz"


def _problem(path: Path, restore: Callable[[State], None]) -> str | None:
    """Restore a checkpoint. Return what is wrong with it, or None."""
    try:
        restore(_read(path))
    except (
        OSError,
        EOFError,
        KeyError,
        ValueError,
        RuntimeError,
        MemoryError,
        zipfile.BadZipFile,
        zlib.error,
    ) as error:
        return " ".join(str(error).split())[:200] or type(error).__name__
    return None


def _read(path: Path) -> State:
    size = path.stat().st_size
    with zipfile.ZipFile(path) as members:  # refuses other files; NumPy would also load a plain array
        unpacked = sum(member.file_size for member in members.infolist())
        if unpacked > size:  # checkpoints are not compressed
            raise ValueError(f"it declares {unpacked:,} bytes unpacked, but the file has {size:,}")
    with path.open("rb") as file, np.load(file, allow_pickle=False) as archive:
        return {name: archive[name] for name in archive.files}


def checkpoints(run: Path) -> list[Path]:
    """List checkpoints, oldest first. Their names are zero-padded iterations."""
    return sorted((run / FOLDER).glob("[0-9]*.npz"))
