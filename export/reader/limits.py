"""Read untrusted files up to a size limit."""

from __future__ import annotations

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
                raise MalformedModelError(f"{path}: {size:,} bytes; the limit is {limit:,}.")
            return file.read(size)
    except OSError as error:
        raise MalformedModelError(f"{path}: cannot be read ({error.strerror}).") from None
