"""Resolve a path, URL or pattern to a source."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from gluon_lifted.errors import DataError
from gluon_lifted.images import IMAGE_SUFFIXES, MISSING_PACKAGES
from serve_cli.path_kinds import did_you_mean, kind_of, wrong_kind
from serve_cli.sources.file_kinds import FILE_KINDS, known_kinds
from serve_cli.sources.folder import folder_source, store_source
from serve_cli.sources.image_bytes import image_at
from serve_cli.sources.image_row import ImageRow
from serve_cli.sources.location import is_remote, location_suffix, name_of, reading, root_of, to_location
from serve_cli.sources.network.web import is_web, require_there
from serve_cli.sources.passed_over import PassedOver
from serve_cli.sources.pattern import Pattern, matches, pattern_source, to_pattern
from serve_cli.sources.source import Source, as_text, files_below, one_file
from serve_cli.sources.tables.columns import Columns

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gluon_lifted.datasets import ImageTable
    from serve_cli.sources.location import Location


DEFAULTS = Columns()


def open_source(name: str | os.PathLike[str], columns: Columns = DEFAULTS) -> Source:
    """Open a folder of images or tar shards, a file of a known kind, an image, or the files that match a pattern.

    Parameters
    ----------
    name : str or path
        A path, or a URL that fsspec supports, such as ``s3://bucket/folder``. The suffix of a file decides its kind,
        see `serve_cli.sources.file_kinds`; a file of any other kind is an image. A folder means its tar shards if it
        contains any, and otherwise its images. If the name does not exist, it is a pattern with ``*``, ``?``, ``[ab]``
        and ``**`` for any folders. A pattern matches tar shards, tables of one kind, or images.
    columns : Columns
        The names of a table's columns.

    Raises
    ------
    DataError
        If the name does not exist, contains no images, or cannot be read.
    """
    location = to_location(name)
    with reading(location):
        if is_web(location):
            return _of_web(location, columns)
        if location.is_file():
            return _of_file(location, columns)
        if location.is_dir():
            return _of_folder(location, columns)
        if pattern := to_pattern(location):
            return pattern_source(str(location), pattern, columns)
    raise DataError(
        f"{location}: no such file or folder.{did_you_mean(location) if isinstance(location, Path) else ''}"
    )


def _of_web(location: Location, columns: Columns) -> Source:
    if location_suffix(location) not in {*FILE_KINDS, *IMAGE_SUFFIXES} or "*" in name_of(location):
        raise DataError(
            f"{location}: web servers do not list folders; give the URL of an image or of a file "
            f"({', '.join(FILE_KINDS)})."
        )
    require_there(location)
    return _of_file(location, columns)


def _of_file(location: Location, columns: Columns) -> Source:
    suffix = location_suffix(location)
    if kind := FILE_KINDS.get(suffix):
        return kind.open(root_of(location), one_file(location), columns)
    if suffix and suffix not in IMAGE_SUFFIXES:
        raise DataError(
            f"{location}: has no known suffix{_cure(suffix)}; expected {' '.join(sorted(IMAGE_SUFFIXES))}, "
            f"{known_kinds()}."
        )
    row = image_at(as_text(name_of(location)), str(location) if is_remote(location) else location)
    return Source(root_of(location), lambda: iter([row]))


def _cure(suffix: str) -> str:
    return f" (pip install '{MISSING_PACKAGES[suffix]}')" if suffix in MISSING_PACKAGES else ""


def _of_folder(location: Location, columns: Columns) -> Source:
    if isinstance(location, Path) and kind_of(location) == "run":  # its curves are not photographs
        raise DataError(wrong_kind(location, "images"))
    for kind in FILE_KINDS.values():
        others = PassedOver()
        if kind.in_folders and (names := matches(Pattern(location, (f"*{kind.suffix}",)), others.add)):
            source = kind.open(root_of(location), files_below(location, names), columns)
            return replace(source, passed_over=others)
    return store_source(location) if is_remote(location) else folder_source(location)


def dataset_source(table: ImageTable, root: Path) -> Source:
    """Open a dataset's images, with class names as labels and ids relative to ``root``, its folder or manifest."""
    root = Path(os.path.abspath(root if root.is_dir() else root.parent))

    def listing() -> Iterator[ImageRow]:
        for row, (path, label) in enumerate(zip(table.paths, table.labels, strict=True)):
            relative = os.path.relpath(path, root).replace(os.sep, "/")
            yield ImageRow(as_text(relative), Path(os.path.abspath(path)), table.class_names[label], table.box(row))

    return Source(root, listing)
