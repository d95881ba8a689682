"""What a file is: its hash, and the versions of the packages that work on it."""

from __future__ import annotations

import hashlib
import platform
from importlib import metadata
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

CHUNK_BYTES = 1 << 20
PACKAGES = ("gluon-lifted", "numpy", "pillow", "onnxruntime", "onnxruntime-gpu", "pyarrow")


def sha256(path: Path) -> str:
    """SHA-256 of a file's content, in hexadecimal."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(CHUNK_BYTES):
            digest.update(chunk)
    return digest.hexdigest()


def versions() -> dict[str, str]:
    """Versions of Python and of the installed packages that an embedding depends on."""
    installed = {name: number for name in PACKAGES if (number := version(name))}
    return {"python": platform.python_version(), **installed}


def version(package: str) -> str:
    """The installed version of a package, or an empty string."""
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return ""
