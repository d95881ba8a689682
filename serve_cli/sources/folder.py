"""A folder of images on this machine."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gluon_lifted.errors import DataError
from gluon_lifted.images import IMAGE_SUFFIXES
from serve_cli.sources.named import is_image, named_row, with_stamps
from serve_cli.sources.passed_over import PassedOver, passed_over_text, suffix_of
from serve_cli.sources.source import Source
from serve_cli.sources.tables import READERS
from serve_cli.sources.walk import Wanted, walk

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from typing import Any

    from serve_cli.sources.image_row import ImageRow


def folder_source(path: Path) -> Source:
    """A folder of images.

    They come in the order of their relative paths, from sub-folders too. Hidden names are passed over, and so are files
    with other suffixes, which are counted. If no image lies in the folder itself, each first sub-folder is taken for a
    class and names its images' label.

    Raises
    ------
    DataError
        If the folder holds no images, or cannot be listed.
    """
    labeled = next(walk(path, Wanted(is_image, folder=lambda _: False)), None) is None
    passed_over = PassedOver()

    def listing() -> Iterator[ImageRow]:
        found = PassedOver()
        for name in walk(path, Wanted(is_image, passed_over=found.add)):
            yield named_row(path, name, labeled)
        passed_over.counts = found.counts

    if next(listing(), None) is None:
        tables = Wanted(lambda name: suffix_of(name) in READERS)
        raise no_images(path, passed_over, next(walk(path, tables), None))
    return Source(path, listing, naming=lambda: with_stamps(listing()), passed_over=passed_over)


def no_images(folder: Any, passed_over: PassedOver, table: str | None) -> DataError:
    """The error of a folder without images; ``table`` is the name of a manifest below it, if there are any."""
    message = f"{folder}: no images found. Looked in all its sub-folders for {' '.join(sorted(IMAGE_SUFFIXES))}."
    if others := passed_over_text(passed_over.by_suffix()):
        message += f" Passed over {others}."
    if table is not None:
        between = "**/" if "/" in table else ""
        message += f" It has {table}: to embed what such tables list, give '{folder}/{between}*{suffix_of(table)}'."
    return DataError(message)
