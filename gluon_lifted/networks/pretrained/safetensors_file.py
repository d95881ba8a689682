"""Read ``.safetensors`` files with the `safetensors` package."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Any

from gluon_lifted.errors import DataError, MissingPackageError
from gluon_lifted.extras import install_command

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

MAX_HEADER_BYTES = 100_000_000  # the format's own limit


def is_safetensors(content: memoryview) -> bool:
    """Return whether a file begins with a safetensors header: its length as uint64, then JSON."""
    if len(content) < 10:
        return False
    (size,) = struct.unpack("<Q", content[:8])
    return 2 <= size <= min(len(content) - 8, MAX_HEADER_BYTES) and content[8] == ord("{")


def read_safetensors(path: Path) -> dict[str, NDArray[Any]]:
    """Read the tensors of a ``.safetensors`` file.

    Raises
    ------
    DataError
        If the header does not match the content, or names a dtype that NumPy lacks.
    MissingPackageError
        If `safetensors` is not installed.
    """
    try:
        from safetensors import SafetensorError
        from safetensors.numpy import load_file
    except ModuleNotFoundError:
        raise MissingPackageError(
            f"safetensors is not installed, and reading {path} needs it. Install it: `{install_command('train')}`"
        ) from None
    try:
        return dict(load_file(path))
    except (SafetensorError, KeyError, TypeError, ValueError, AttributeError, OSError) as error:
        raise DataError(f"{path}: cannot be read as safetensors ({error!s:.200}).") from None
