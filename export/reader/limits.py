"""Read untrusted files up to a size limit, or map them without one."""

from __future__ import annotations

import mmap
import os
from typing import TYPE_CHECKING

from export.errors import MalformedModelError

if TYPE_CHECKING:
    from pathlib import Path


def read_limited(path: Path, limit: int) -> bytes:
    """Read a file. Raise `MalformedModelError` if it is unreadable or has more than ``limit`` bytes."""
    try:
        with path.open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            if size > limit:
                raise MalformedModelError(f"{path}: has {size:,} bytes; the limit is {limit:,}.")
            return file.read(size)
    except OSError as error:
        raise MalformedModelError(f"{path}: cannot be read ({error.strerror}).") from None


def map_file(path: Path) -> memoryview:
    """Map a file of any size into memory: its pages are read when used, and need no memory of their own.

    Raises
    ------
    MalformedModelError
        If the file is unreadable.
    """
    try:
        with path.open("rb") as file:
            if os.fstat(file.fileno()).st_size == 0:
                return memoryview(b"")  # has nothing to map
            return memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
    except OSError as error:
        raise MalformedModelError(f"{path}: cannot be read ({error.strerror}).") from None
