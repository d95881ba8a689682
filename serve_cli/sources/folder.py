"""Images below a folder, on this host or in an object store."""

from __future__ import annotations

from dataclasses import replace
from itertools import islice
from typing import TYPE_CHECKING

from gluon_lifted.errors import DataError
from gluon_lifted.images import IMAGE_SUFFIXES
from serve_cli.sources.file_kinds import is_table
from serve_cli.sources.image_bytes import image_at
from serve_cli.sources.location import below, file_stamp
from serve_cli.sources.network.object_store import names_in_store
from serve_cli.sources.passed_over import PassedOver, images_of, is_image, passed_over_text, suffix_of
from serve_cli.sources.source import Source, as_text
from serve_cli.sources.walk import Wanted, walk

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

    from serve_cli.sources.image_row import ImageRow
    from serve_cli.sources.location import Location


def named_row(folder: Location, name: str, *, labeled: bool) -> ImageRow:
    """Make the row of a name relative to a folder. If ``labeled``, its first subfolder is the label."""
    text = as_text(name)
    return image_at(text, below(folder, name), text.split("/", 1)[0] if labeled else None)


def named_source(root: Path | str, folder: Location, names: Sequence[str], passed_over: PassedOver) -> Source:
    """Open the named images below a folder, in order. If all are in subfolders, the first subfolder is the label."""
    labeled = all("/" in name for name in names)

    def listing(start: int = 0) -> Iterator[ImageRow]:
        return (named_row(folder, name, labeled=labeled) for name in islice(names, start, None))

    return Source(root, listing, naming=lambda: with_stamps(listing()), starting=listing, passed_over=passed_over)


def with_stamps(rows: Iterable[ImageRow]) -> Iterator[ImageRow]:
    """Add size and modification time of their files to rows. Cheap for files that were just listed."""
    return (replace(row, stamp=file_stamp(row.path)) if row.content is None else row for row in rows)


def folder_source(path: Path) -> Source:
    """Open a folder of images, subfolders included, in the order of their relative paths.

    Hidden names are skipped. Files with other suffixes are skipped and counted. If the folder itself contains no image,
    its subfolders are classes, and their names are the labels.

    Raises
    ------
    DataError
        If the folder contains no images or cannot be listed.
    """
    labeled = next(walk(path, Wanted(is_image, folder=lambda _: False)), None) is None
    passed_over = PassedOver()

    def listing() -> Iterator[ImageRow]:
        others = PassedOver()
        for name in walk(path, Wanted(is_image, passed_over=others.add)):
            yield named_row(path, name, labeled=labeled)
        passed_over.counts = others.counts

    if next(listing(), None) is None:
        tables = Wanted(lambda name: is_table(suffix_of(name)))
        raise no_images(path, passed_over, next(walk(path, tables), None))
    return Source(path, listing, naming=lambda: with_stamps(listing()), passed_over=passed_over)


def store_source(location: Location) -> Source:
    """Open the images below a URL, in the order and with the labels of `folder_source`.

    All names are listed once and kept, since a store returns only a thousand per request.

    Raises
    ------
    DataError
        If there are no images.
    """
    names = names_in_store(location)
    images, others = images_of(names)
    if not images:
        raise no_images(location, others, next((name for name in names if is_table(suffix_of(name))), None))
    return named_source(str(location), location, images, others)


def no_images(folder: Location, passed_over: PassedOver, table: str | None) -> DataError:
    """Make the error for a folder without images. ``table`` is the name of a table below it, if there is one."""
    message = f"{folder}: no images found. Looked in all its subfolders for {' '.join(sorted(IMAGE_SUFFIXES))}."
    if others := passed_over_text(passed_over.by_suffix()):
        message += f" Skipped {others}."
    if table is not None:
        pattern = f"{folder}/{'**/' if '/' in table else ''}*{suffix_of(table)}"
        message += f" It contains {table}; to embed the images of such tables, give '{pattern}'."
    return DataError(message)
