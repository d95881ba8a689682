"""Going through a folder of this machine in the order of the whole paths."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, NamedTuple

from gluon_lifted.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


class Wanted(NamedTuple):
    """What to look for; both are asked for paths relative to where the walk began.

    Parameters
    ----------
    file : callable
        Whether a name is that of a wanted file.
    folder : callable
        Whether to go into a folder.
    """

    file: Callable[[str], bool]
    folder: Callable[[str], bool] = lambda _: True


def walk(root: Path, wanted: Wanted) -> Iterator[str]:
    """Paths of files relative to ``root``, in the order of the whole paths, holding one folder's names at a time.

    Hidden names are passed over; links are followed, but never in circles.

    Raises
    ------
    DataError
        If a folder cannot be listed.
    """
    yield from _walk(root, "", wanted, ())


def _walk(folder: Path, prefix: str, wanted: Wanted, ancestors: tuple[tuple[int, int], ...]) -> Iterator[str]:
    """A folder sorts as ``name/``, which puts ``a-1/x`` and ``a.jpg`` before ``a/x``, as sorting whole paths does."""
    listing = _scan(folder, prefix, wanted)
    if listing.identity in ancestors:  # a link to a folder above it: going in would never end
        return
    for name in sorted(listing.files + [name + "/" for name in listing.folders]):
        if name.endswith("/"):
            yield from _walk(folder / name, prefix + name, wanted, (*ancestors, listing.identity))
        else:
            yield prefix + name


class _Listing(NamedTuple):
    """Names of the wanted files and folders in one folder; device and inode tell folders apart."""

    identity: tuple[int, int]
    files: list[str]
    folders: list[str]


def _scan(folder: Path, prefix: str, wanted: Wanted) -> _Listing:
    files, folders = [], []
    try:
        status = folder.stat()
        with os.scandir(folder) as entries:
            for entry in entries:
                if entry.name.startswith("."):
                    continue
                path = prefix + entry.name
                if os.path.isdir(entry.path):
                    if wanted.folder(path):
                        folders.append(entry.name)
                elif wanted.file(path) and _is_file(entry):
                    files.append(entry.name)
    except OSError as error:
        raise DataError(f"{folder}: cannot be listed ({error.strerror}); check its permissions.") from None
    return _Listing((status.st_dev, status.st_ino), files, folders)


def _is_file(entry: os.DirEntry[str]) -> bool:
    """A link that leads nowhere counts, and fails with its reason when read."""
    return os.path.isfile(entry.path) or (entry.is_symlink() and not os.path.exists(entry.path))
