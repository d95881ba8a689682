"""A digest that says whether two lists have the same images."""

from __future__ import annotations

import hashlib
import json
from pathlib import PurePath
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path


def image_digest(paths: Iterable[str | Path], class_names: Iterable[str | None]) -> str:
    """Return a SHA-256 of the file name and the class of each image, in any order.

    Folders are left out, because the same images may be read from another location.

    Examples
    --------
    >>> image_digest(["/data/cat/1.jpg", "/data/dog/1.jpg"], ["cat", "dog"])[:8]
    '436a77ef'
    >>> image_digest(["dog/1.jpg", "cat/1.jpg"], ["dog", "cat"])[:8]
    '436a77ef'
    """
    images = sorted((PurePath(path).name, name or "") for path, name in zip(paths, class_names, strict=True))
    return hashlib.sha256(json.dumps(images).encode()).hexdigest()
