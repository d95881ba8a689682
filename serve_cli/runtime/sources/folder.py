"""A folder of images, gone through in the order of the whole paths."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from gluon_lifted.errors import DataError
from gluon_lifted.images import IMAGE_SUFFIXES
from serve_cli.runtime.rows import ImageRow
from serve_cli.runtime.sources.source import Source, as_text

if TYPE_CHECKING:
    from collections.abc import Iterator


def folder_source(path: Path) -> Source:
    """A folder of images.

    Images of a folder come in the order of their relative paths, from sub-folders too; hidden names and other
    suffixes are passed over. If no image lies in the folder itself, each first sub-folder is taken for a class
    and names its images' label.

    Raises
    ------
    DataError
        If the folder holds no images, or cannot be listed.
    """
    labelled = not _scan(path).images
    source = Source(path, lambda: _folder_rows(path, labelled))
    if next(iter(source), None) is None:
        raise DataError(
            f"{path}: no images found. Looked in all its sub-folders for {' '.join(sorted(IMAGE_SUFFIXES))}."
        )
    return source


def _folder_rows(root: Path, labelled: bool) -> Iterator[ImageRow]:
    for relative in _walk(root, "", ()):
        name = as_text(relative)
        yield ImageRow(name, root / relative, name.split("/", 1)[0] if labelled else None)


def _walk(folder: Path, prefix: str, ancestors: tuple[tuple[int, int], ...]) -> Iterator[str]:
    """Relative paths below ``folder`` in the order of the whole paths, holding one folder's names at a time.

    A folder sorts as ``name/``, which puts ``a-1/x`` and ``a.jpg`` before ``a/x``, as sorting whole paths does.
    """
    listing = _scan(folder)
    if listing.identity in ancestors:  # a link to a folder above it: going in would never end
        return
    for name in sorted(listing.images + [name + "/" for name in listing.folders]):
        if name.endswith("/"):
            yield from _walk(folder / name, prefix + name, (*ancestors, listing.identity))
        else:
            yield prefix + name


class _Listing(NamedTuple):
    """Names of the images and folders in one folder; device and inode tell folders apart."""

    identity: tuple[int, int]
    images: list[str]
    folders: list[str]


def _scan(folder: Path) -> _Listing:
    images, folders = [], []
    try:
        status = folder.stat()
        with os.scandir(folder) as entries:
            for entry in entries:
                if entry.name.startswith("."):
                    continue
                if os.path.isdir(entry.path):
                    folders.append(entry.name)
                elif _is_image(entry):
                    images.append(entry.name)
    except OSError as error:
        raise DataError(f"{folder}: cannot be listed ({error.strerror}); check its permissions.") from None
    return _Listing((status.st_dev, status.st_ino), images, folders)


def _is_image(entry: os.DirEntry[str]) -> bool:
    """A file with an image's suffix; a link that leads nowhere counts, and fails with its reason when read."""
    if os.path.splitext(entry.name)[1].lower() not in IMAGE_SUFFIXES:
        return False
    return os.path.isfile(entry.path) or (entry.is_symlink() and not os.path.exists(entry.path))
