"""Checkpoints of a run: all that training needs to continue, one NumPy archive each. The newest two are kept.

An archive of plain arrays holds no code, unlike the pickle that MXNet writes of an optimizer's state, and carries a
CRC-32 of each array, so that a damaged file is recognized and the one before is used.
"""

from __future__ import annotations

import zipfile
import zlib
from typing import TYPE_CHECKING

import numpy as np

from gluon_lifted.errors import RunError
from gluon_lifted.files import replaced_file, write_npz

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from numpy.typing import NDArray

    State = dict[str, NDArray[np.generic]]

KEEP = 2
FOLDER = "checkpoints"


def save_checkpoint(run: Path, iteration: int, state: State) -> None:
    """Write ``run/checkpoints/<iteration>.npz``: it appears whole or not at all.

    Raises
    ------
    RunError
        If it cannot be written, on a full disk for instance; earlier checkpoints are as they were.
    """
    folder = run / FOLDER
    path = folder / f"{iteration:08d}.npz"
    try:
        folder.mkdir(exist_ok=True)
        with replaced_file(path) as temporary, temporary.open("wb") as file:
            write_npz(file, state)
            file.flush()
        for old in checkpoints(run)[:-KEEP]:
            old.unlink()
    except OSError as error:
        raise RunError(
            f"{path}: cannot be written ({error.strerror}); {_newest(run)}. "
            "Make room and run the same command with --resume."
        ) from None


def _newest(run: Path) -> str:
    whole = checkpoints(run)
    return f"the checkpoint before, {whole[-1].name}, is whole" if whole else "there is no earlier checkpoint"


def load_checkpoint(run: Path, restore: Callable[[State], None], on_note: Callable[[str], None]) -> int:
    """Restore the newest whole checkpoint; return its iteration.

    Parameters
    ----------
    restore : callable
        Puts a state in place, or raises KeyError or ValueError if it does not fit.
    on_note : callable
        Called with a sentence for each damaged checkpoint that was skipped.

    Raises
    ------
    RunError
        If the run has no checkpoint that can be used.
    """
    candidates = checkpoints(run)
    for path in reversed(candidates):
        problem = _problem(path, restore)
        if problem is None:
            return int(path.stem)
        on_note(f"{path}: damaged ({problem}); using the one before.")
    if candidates:
        raise RunError(f"{run}: none of its {len(candidates)} checkpoints can be used; train again into a new folder.")
    raise RunError(f"{run}: no checkpoint to resume from; train again into a new folder.")


def _problem(path: Path, restore: Callable[[State], None]) -> str | None:
    """Restore a checkpoint; what is wrong with it, or None."""
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
    with zipfile.ZipFile(path) as members:  # another kind of file is refused here: NumPy would load an array, too
        unpacked = sum(member.file_size for member in members.infolist())
        if unpacked > size:  # nothing in a checkpoint is compressed
            raise ValueError(f"{unpacked:,} bytes in a file of {size:,}")
    with path.open("rb") as file, np.load(file, allow_pickle=False) as archive:
        return {name: archive[name] for name in archive.files}


def checkpoints(run: Path) -> list[Path]:
    """Whole checkpoints, oldest first: names are zero-padded iterations."""
    return sorted((run / FOLDER).glob("[0-9]*.npz"))
