"""Hashes of files, and versions of the packages that process them."""

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
    """Compute the SHA-256 of a file's content, in hexadecimal."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(CHUNK_BYTES):
            digest.update(chunk)
    return digest.hexdigest()


def versions() -> dict[str, str]:
    """Return the versions of Python and of the installed packages that affect embeddings."""
    installed = {name: number for name in PACKAGES if (number := version(name))}
    return {"python": platform.python_version(), **installed}


def version(package: str) -> str:
    """Return the installed version of a package, or an empty string."""
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return ""
