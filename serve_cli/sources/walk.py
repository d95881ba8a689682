"""Walk a local folder in the order of the whole paths."""

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
    """What to look for; file and folder are asked for paths relative to where the walk began.

    Parameters
    ----------
    file : callable
        Whether a name is that of a wanted file.
    folder : callable
        Whether to go into a folder.
    passed_over : callable
        Called with the name of each file that is neither wanted nor hidden.
    """

    file: Callable[[str], bool]
    folder: Callable[[str], bool] = lambda _: True
    passed_over: Callable[[str], object] = lambda _: None


def walk(root: Path, wanted: Wanted) -> Iterator[str]:
    """Paths of files relative to ``root``, in the order of the whole paths, holding one folder's names at a time.

    Hidden names are passed over; links are followed, but never in circles. Folders may be as deep as the system's
    paths can be long.

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
    """A folder with what is left of its names.

    Parameters
    ----------
    identity : tuple of int
        Device and inode, which tell folders apart; empty for a link to a folder above it, which has no names then.
    folder, prefix : str
        Its path, and that relative to where the walk began, which is empty or ends with ``/``.
    names : list of str
        Wanted files and folders, the next one last. A folder is ``name/``, which puts ``a-1/x`` and ``a.jpg`` before
        ``a/x``, as sorting whole paths does.
    """

    identity: tuple[int, ...]
    folder: str
    prefix: str
    names: list[str]


def _enter(folder: str, prefix: str, wanted: Wanted, entered: set[tuple[int, ...]]) -> _Level:
    """List a folder and note that it was entered; one that was, from above, would never end."""
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
    """Names of the wanted files and folders in a folder, in no order."""
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
    except OSError:  # a link that leads to itself, or to where one may not look
        return False


def _is_file(entry: os.DirEntry[str]) -> bool:
    """A link that leads nowhere counts, and fails with its reason when read."""
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
        "move it up, or embed a folder further down by itself."
    )
