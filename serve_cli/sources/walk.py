"""Walk a local folder in the order of whole paths."""

from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING, NamedTuple

from gluon_lifted.errors import DataError
from serve_cli.sources.passed_over import is_hidden

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

SHOWN = 200  # characters of a path that is too long


class Wanted(NamedTuple):
    """What a walk yields. ``file`` and ``folder`` take paths relative to the start of the walk.

    Parameters
    ----------
    file : callable
        Whether to yield a file.
    folder : callable
        Whether to enter a folder.
    passed_over : callable
        Called with the name of each file that is neither yielded nor hidden.
    """

    file: Callable[[str], bool]
    folder: Callable[[str], bool] = lambda _: True
    passed_over: Callable[[str], object] = lambda _: None


def walk(root: Path, wanted: Wanted) -> Iterator[str]:
    """Iterate over files relative to ``root``, in the order of whole paths.

    Only the names in the current folder and the folders above it are in memory. Hidden names are skipped. Links are
    followed, but never in circles. Depth is limited only by the system's maximum path length.

    Raises
    ------
    DataError
        If a folder cannot be listed.
    """
    entered: set[tuple[int, ...]] = set()  # the folders from root to here
    levels = [_enter(os.fspath(root), "", wanted, entered)]
    while levels:
        level = levels[-1]
        if not level.names:
            entered.discard(levels.pop().identity)
            continue
        name = level.names.pop()
        if name.endswith("/"):
            levels.append(_enter(os.path.join(level.folder, name[:-1]), level.prefix + name, wanted, entered))
        else:
            yield level.prefix + name


class _Level(NamedTuple):
    """A folder and its remaining names.

    Parameters
    ----------
    identity : tuple of int
        Device and inode; empty for a link to a folder above it, which then has no names.
    folder, prefix : str
        The folder's path, and its path relative to the start of the walk, which is empty or ends with ``/``.
    names : list of str
        Wanted files and folders, the next one last. A folder is ``name/``, which sorts ``a-1/x`` and ``a.jpg`` before
        ``a/x``, as whole paths do.
    """

    identity: tuple[int, ...]
    folder: str
    prefix: str
    names: list[str]


def _enter(folder: str, prefix: str, wanted: Wanted, entered: set[tuple[int, ...]]) -> _Level:
    """List a folder and mark it as entered. A folder that contains itself, through a link, gets no names."""
    try:
        status = os.stat(folder)
        identity = (status.st_dev, status.st_ino)
        if identity in entered:
            return _Level((), folder, prefix, [])
        names = sorted(_names(folder, prefix, wanted), reverse=True)
    except OSError as error:
        raise _not_listed(folder, error) from None
    entered.add(identity)
    return _Level(identity, folder, prefix, names)


def _names(folder: str, prefix: str, wanted: Wanted) -> Iterator[str]:
    """Iterate over the wanted files and folders in a folder, in no order."""
    with os.scandir(folder) as entries:
        for entry in entries:
            if is_hidden(entry.name):
                continue
            path = prefix + entry.name
            if _is_folder(entry):
                if wanted.folder(path):
                    yield entry.name + "/"
            elif not wanted.file(path):
                wanted.passed_over(entry.name)
            elif _is_file(entry):
                yield entry.name


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link to itself, or to a folder without permission
        return False


def _is_file(entry: os.DirEntry[str]) -> bool:
    """Whether an entry is a file. A broken link counts as one, so that its row fails with the reason."""
    try:
        return entry.is_file() or (entry.is_symlink() and not os.path.exists(entry.path))
    except OSError:
        return True


def _not_listed(folder: str, error: OSError) -> DataError:
    if error.errno != errno.ENAMETOOLONG:
        return DataError(f"{folder}: cannot be listed ({error.strerror}); check its permissions.")
    length = len(os.fsencode(folder))
    return DataError(
        f"{folder[:SHOWN]}...: a folder below it cannot be listed ({error.strerror}: {length:,} bytes); "
        "move it up, or embed a deeper folder separately."
    )
