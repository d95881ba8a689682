"""Folders of an object store."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from serve_cli.sources.folder import no_images
from serve_cli.sources.named import images_of, named_source
from serve_cli.sources.passed_over import is_hidden, suffix_of
from serve_cli.sources.tables import READERS

if TYPE_CHECKING:
    from serve_cli.sources.source import Source


def store_source(place: Any) -> Source:
    """The images below a URL, in the order and with the labels of `folder_source`.

    All names are asked for once and kept: a store gives a thousand at a time.

    Raises
    ------
    DataError
        If there are no images.
    """
    found = names_in_store(place)
    images, others = images_of(found)
    if not images:
        raise no_images(place, others, next((name for name in found if suffix_of(name) in READERS), None))
    return named_source(str(place), place, images, others)


def names_in_store(folder: Any, depth: int | None = None) -> list[str]:
    """Names of files relative to a folder, sorted, of up to ``depth`` parts; hidden ones are passed over."""
    root = folder.path.rstrip("/") + "/"
    names = (path[len(root) :] for path in folder.fs.find(folder.path, maxdepth=depth) if path.startswith(root))
    return sorted(name for name in names if not any(map(is_hidden, name.split("/"))))
