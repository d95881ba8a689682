"""Write new versions of an index folder: complete files first, then one switch of ``index.json``."""

from __future__ import annotations

import os
import platform
import re
import shutil
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from gluon_lifted.errors import RunError
from gluon_lifted.files import remove_leftovers, sync, temporary_folder, try_lock
from serve_cli.retrieval.index.layout import (
    DELETIONS_NAME,
    INDEX_FILE,
    SEGMENT_NAME,
    segment_name,
    write_manifest,
)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from serve_cli.retrieval.index.layout import IndexManifest

LOCK = ".index.lock"
HOLDER = re.compile(r"process \d+ on [\w.-]{1,100}")


@contextmanager
def index_lock(folder: Path) -> Iterator[None]:
    """Keep other writers out of an existing index folder, and remove what killed ones left.

    Raises
    ------
    RunError
        If another process is writing to it.
    """
    handle = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT, 0o666)
    try:
        if try_lock(handle) is False:
            raise RunError(
                f"{folder}: another process is changing this index{_holder(handle)}; wait until it ends, or stop it."
            )
        os.ftruncate(handle, 0)
        os.pwrite(handle, f"process {os.getpid()} on {platform.node()}".encode(), 0)
        remove_leftovers(folder)
        yield
    finally:
        os.close(handle)


@contextmanager
def new_index_folder(folder: Path, *, overwrite: bool) -> Iterator[None]:
    """Lock a folder for a new index, and remove it after an error if it did not exist.

    Raises
    ------
    RunError
        If it holds an index and ``overwrite`` is false, holds anything else, or cannot be written to.
    """
    created = not folder.exists()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with index_lock(folder):
            _check_replaceable(folder, overwrite=overwrite)
            yield
    except OSError as error:
        raise RunError(
            f"{folder}: cannot be written to ({error.strerror or error}); free some space, or choose another --out."
        ) from None
    finally:
        if created and not (folder / INDEX_FILE).exists():
            shutil.rmtree(folder, ignore_errors=True)


def next_number(folder: Path) -> int:
    """Return a number greater than those of all segments and deletions in a folder, used or not."""
    matches = [SEGMENT_NAME.fullmatch(name) or DELETIONS_NAME.fullmatch(name) for name in os.listdir(folder)]
    return 1 + max((int(match[1]) for match in matches if match), default=0)


@contextmanager
def new_segment(folder: Path, number: int) -> Iterator[Path]:
    """Yield a temporary folder to fill. On success it becomes segment ``number``."""
    path = folder / segment_name(number)
    with temporary_folder(path) as temporary:
        yield temporary
        sync(temporary)
        temporary.rename(path)
        sync(folder)


def switch(folder: Path, manifest: IndexManifest) -> None:
    """Make a manifest the current one, then remove the files that it does not name."""
    write_manifest(folder, manifest)
    remove_unnamed(folder, manifest)


def remove_unnamed(folder: Path, manifest: IndexManifest) -> None:
    """Remove segments and deletions of older versions, and of updates that were killed before their switch."""
    named = {segment.name for segment in manifest.segments} | {manifest.deletions}
    for name in os.listdir(folder):
        if name in named:
            continue
        if SEGMENT_NAME.fullmatch(name):
            shutil.rmtree(folder / name, ignore_errors=True)
        elif DELETIONS_NAME.fullmatch(name):
            with suppress(OSError):
                (folder / name).unlink()


def _holder(handle: int) -> str:
    """Return who holds a lock, in parentheses, if its file says so."""
    holder = HOLDER.fullmatch(os.pread(handle, 200, 0).decode(errors="replace"))
    return f" ({holder[0]})" if holder else ""


def _check_replaceable(folder: Path, *, overwrite: bool) -> None:
    others = [name for name in sorted(os.listdir(folder)) if not name.startswith(".")]
    if INDEX_FILE in others and not overwrite:
        raise RunError(f"{folder}: holds an index; choose another --out, or replace it with --overwrite.")
    known = [name for name in others if SEGMENT_NAME.fullmatch(name) or DELETIONS_NAME.fullmatch(name)]
    if INDEX_FILE not in others and len(known) < len(others):
        raise RunError(f"{folder}: holds files that are not an index; choose another --out.")
