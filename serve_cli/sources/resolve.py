"""Resolve what the user named to a source."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gluon_lifted.errors import DataError
from gluon_lifted.images import IMAGE_SUFFIXES, MISSING_PACKAGES
from serve_cli.sources.file_kinds import FILE_KINDS, known_kinds
from serve_cli.sources.folder import folder_source, store_source
from serve_cli.sources.image_bytes import image_at
from serve_cli.sources.image_row import ImageRow
from serve_cli.sources.location import is_remote, kind_of, name_of, reading, root_of, to_location
from serve_cli.sources.network.web import is_web, require_there
from serve_cli.sources.passed_over import PassedOver
from serve_cli.sources.pattern import Pattern, matches, pattern_source, to_pattern
from serve_cli.sources.source import Source, as_text, files_below, one_file
from serve_cli.sources.tables.columns import Columns

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gluon_lifted.datasets import ImageTable


DEFAULTS = Columns()


def open_source(name: str | os.PathLike[str], columns: Columns = DEFAULTS) -> Source:
    """A folder of images or of tar shards, one tar shard, a list, a manifest, a single image file, or a pattern.

    Parameters
    ----------
    name : str or path
        A path, or a URL that fsspec knows, such as ``s3://bucket/folder``. ``.tar``: a shard; ``.txt``: a list of
        paths; ``.csv``, ``.jsonl``, ``.parquet``: a manifest; another file: an image; a folder: its images, or its
        tar shards if it holds any. If there is no such thing, a pattern with ``*``, ``?``, ``[ab]`` and ``**`` for
        any folders: shards, manifests of one kind, or images.
    columns : Columns
        Of a manifest.

    Raises
    ------
    DataError
        If there is no such thing, it holds no images, or cannot be read.
    """
    place = to_location(name)
    with reading(place):
        if is_web(place):
            return _of_web(place, columns)
        if place.is_file():
            return _of_file(place, columns)
        if place.is_dir():
            return _of_folder(place, columns)
        if pattern := to_pattern(place):
            return pattern_source(str(place), pattern, columns)
    raise DataError(f"{place}: no such file or folder.")


def _of_web(place: Any, columns: Columns) -> Source:
    if kind_of(place) not in {*FILE_KINDS, *IMAGE_SUFFIXES} or "*" in name_of(place):
        raise DataError(f"{place}: web servers list no folders; name an image, {', '.join(FILE_KINDS)} there.")
    require_there(place)
    return _of_file(place, columns)


def _of_file(place: Any, columns: Columns) -> Source:
    suffix = kind_of(place)
    if kind := FILE_KINDS.get(suffix):
        return kind.open(root_of(place), one_file(place), columns)
    if suffix and suffix not in IMAGE_SUFFIXES:
        raise DataError(
            f"{place}: is no image by its name{_cure(suffix)}; known are {' '.join(sorted(IMAGE_SUFFIXES))}, "
            f"{known_kinds()}."
        )
    row = image_at(as_text(name_of(place)), str(place) if is_remote(place) else place)
    return Source(root_of(place), lambda: iter([row]))


def _cure(suffix: str) -> str:
    return f" (pip install '{MISSING_PACKAGES[suffix]}')" if suffix in MISSING_PACKAGES else ""


def _of_folder(place: Any, columns: Columns) -> Source:
    for kind in FILE_KINDS.values():
        others = PassedOver()
        if kind.in_folders and (names := matches(Pattern(place, (f"*{kind.suffix}",)), others.add)):
            source = kind.open(root_of(place), files_below(place, names), columns)
            return replace(source, passed_over=others)
    return store_source(place) if is_remote(place) else folder_source(place)


def dataset_source(table: ImageTable, root: Path) -> Source:
    """The images of a data set, with ids relative to ``root``, its folder or manifest, and class names for labels."""
    root = Path(os.path.abspath(root if root.is_dir() else root.parent))

    def listing() -> Iterator[ImageRow]:
        for row, (path, label) in enumerate(zip(table.paths, table.labels, strict=True)):
            relative = os.path.relpath(path, root).replace(os.sep, "/")
            yield ImageRow(as_text(relative), Path(os.path.abspath(path)), table.class_names[label], table.box(row))

    return Source(root, listing)
