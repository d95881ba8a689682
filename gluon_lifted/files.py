"""Write files and folders atomically: under a temporary name that is synced and renamed.

A process locks its temporary files while it lives, so that later processes remove only what a killed process left
behind. The lock is the kernel's (``flock``). Unlike a process id it works across containers and hosts, and it ends with
the process.
"""

from __future__ import annotations

import errno
import fcntl
import os
import re
import secrets
import shutil
import zipfile
from contextlib import contextmanager
from typing import IO, TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from numpy.typing import NDArray

TEMPORARY = re.compile(r"\..+\.[0-9a-f]+\.tmp")
NO_HARD_LINKS = frozenset({errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK})


@contextmanager
def replaced_file(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside ``path`` to write to. On success it replaces ``path``."""
    with _temporary(path, folder=False) as temporary:
        yield temporary
        sync(temporary)
        temporary.replace(path)
        sync(path.parent)


@contextmanager
def temporary_folder(path: Path) -> Iterator[Path]:
    """Yield a temporary folder beside ``path`` to fill and to rename. It is removed unless the caller renames it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with _temporary(path, folder=True) as temporary:
        yield temporary


def create_file(path: Path, text: str) -> bool:
    """Create a file with all of its content unless it exists. If several processes try, exactly one creates it.

    Returns
    -------
    bool
        Whether this call created the file.
    """
    with _temporary(path, folder=False) as temporary:
        temporary.write_text(text, encoding="utf-8")
        sync(temporary)
        try:
            os.link(temporary, path)
        except FileExistsError:
            return False
        except OSError as error:
            if error.errno not in NO_HARD_LINKS:
                raise
            return _create_in_place(path, text)
        sync(path.parent)
    return True


def write_npz(file: IO[bytes], arrays: Mapping[str, NDArray[Any]]) -> None:
    """Write arrays as `numpy.savez` does: uncompressed, with a CRC-32 each.

    `numpy.savez` leaves its archive open if the disk is full. This function closes it.
    """
    import numpy as np

    with zipfile.ZipFile(file, "w") as archive:
        for name, array in arrays.items():
            with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
                np.save(member, array, allow_pickle=False)


def remove_leftovers(folder: Path) -> None:
    """Remove what killed processes left in a folder and in its direct sub-folders."""
    for path in [*folder.glob(".*.tmp"), *folder.glob("*/.*.tmp")]:
        if TEMPORARY.fullmatch(path.name):
            _remove_abandoned(path)


def sync(path: Path) -> None:
    """Flush a file, or the entries of a folder, to disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def try_lock(handle: int, *, shared: bool = False) -> bool | None:
    """Lock an open file without waiting. The lock ends when the file is closed or its process dies.

    Returns
    -------
    bool or None
        False if another process holds the lock; None if the file system has no locks.
    """
    try:
        fcntl.flock(handle, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return None
    return True


@contextmanager
def _temporary(path: Path, *, folder: bool) -> Iterator[Path]:
    """Create and lock a file or folder beside ``path``. Remove it at the end unless it was renamed."""
    leftover_name = re.compile(re.escape(f".{path.name}.") + r"[0-9a-f]+\.tmp")
    for sibling in _names(path.parent):
        if leftover_name.fullmatch(sibling):
            _remove_abandoned(path.with_name(sibling))
    temporary, handle = _create_locked(path, folder=folder)
    try:
        yield temporary
    finally:
        _remove(temporary)
        os.close(handle)


def _create_locked(path: Path, *, folder: bool) -> tuple[Path, int]:
    """Create a temporary file or folder. Return its path and the open handle that locks it."""
    while True:
        temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp")
        if folder:
            temporary.mkdir()
            handle = os.open(temporary, os.O_RDONLY)
        else:
            handle = os.open(temporary, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o666)
        # Another process may have removed it as abandoned before it was locked.
        if try_lock(handle) is not False and is_at(handle, temporary):
            return temporary, handle
        os.close(handle)


def is_at(handle: int, path: Path) -> bool:
    """Check whether ``path`` still names the file that is open as ``handle``."""
    try:
        return os.path.samestat(os.fstat(handle), os.stat(path))
    except FileNotFoundError:
        return False


def _remove_abandoned(path: Path) -> None:
    """Remove a temporary file or folder if its lock shows that no living process uses it."""
    try:
        handle = os.open(path, os.O_RDONLY if path.is_dir() else os.O_RDWR)
    except OSError:
        return
    try:
        if try_lock(handle):
            _remove(path)
    finally:
        os.close(handle)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def _names(folder: Path) -> list[str]:
    try:
        return os.listdir(folder)
    except OSError:
        return []  # creating a file there raises the same error


def _create_in_place(path: Path, text: str) -> bool:
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
    except FileExistsError:
        return False
    return True
