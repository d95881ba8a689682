"""A folder of images in an object store."""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

from gluon_lifted.errors import DataError
from gluon_lifted.images import IMAGE_SUFFIXES
from serve_cli.runtime.sources.place import image_at
from serve_cli.runtime.sources.source import Source, as_text

if TYPE_CHECKING:
    from collections.abc import Iterator

    from serve_cli.runtime.rows import ImageRow


def remote_folder_source(place: Any) -> Source:
    """The images below a URL, in the order and with the labels of `folder_source`; hidden names are passed over.

    All names are asked for once and kept: a store gives a thousand at a time.

    Raises
    ------
    DataError
        If there are no images.
    """
    root = place.path.rstrip("/") + "/"
    found = (name[len(root) :] for name in place.fs.find(place.path) if name.startswith(root))
    names = sorted(name for name in found if _is_image(name))
    if not names:
        raise DataError(f"{place}: no images found. Looked for {' '.join(sorted(IMAGE_SUFFIXES))}.")
    labelled = all("/" in name for name in names)

    def listing() -> Iterator[ImageRow]:
        for name in names:
            yield image_at(as_text(name), place / name, as_text(name.split("/", 1)[0]) if labelled else None)

    return Source(str(place), listing)


def _is_image(name: str) -> bool:
    path = PurePosixPath(name)
    return path.suffix.lower() in IMAGE_SUFFIXES and not any(part.startswith(".") for part in path.parts)
