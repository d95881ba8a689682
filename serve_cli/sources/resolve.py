"""What a user names -> the source that it is."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import Any

from gluon_lifted.errors import DataError
from gluon_lifted.images import IMAGE_SUFFIXES, MISSING_PACKAGES
from serve_cli.sources.files import files_below, one_file
from serve_cli.sources.folder import folder_source
from serve_cli.sources.location import (
    image_at,
    is_remote,
    kind_of,
    name_of,
    reading,
    root_of,
    to_location,
)
from serve_cli.sources.manifest import Columns, manifest_source
from serve_cli.sources.object_store import store_source
from serve_cli.sources.passed_over import PassedOver
from serve_cli.sources.pattern import Pattern, to_pattern
from serve_cli.sources.pattern_source import matches, pattern_source
from serve_cli.sources.source import Source, as_text
from serve_cli.sources.tables import READERS
from serve_cli.sources.tar import tar_source
from serve_cli.sources.text_list import list_source
from serve_cli.sources.web import is_web, require_there

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
            return _of_folder(place)
        if pattern := to_pattern(place):
            return pattern_source(str(place), pattern, columns)
    raise DataError(f"{place}: no such file or folder.")


def _of_web(place: Any, columns: Columns) -> Source:
    if kind_of(place) not in {".tar", ".txt", *READERS, *IMAGE_SUFFIXES} or "*" in name_of(place):
        raise DataError(f"{place}: web servers list no folders; name an image, .tar, .txt, {', '.join(READERS)} there.")
    require_there(place)
    return _of_file(place, columns)


def _of_file(place: Any, columns: Columns) -> Source:
    kind = kind_of(place)
    if kind == ".tar":
        return tar_source(root_of(place), one_file(place))
    if kind == ".txt":
        return list_source(place)
    if kind in READERS:
        return manifest_source(root_of(place), one_file(place), columns)
    if kind and kind not in IMAGE_SUFFIXES:
        raise DataError(
            f"{place}: is no image by its name{_cure(kind)}; known are {' '.join(sorted(IMAGE_SUFFIXES))}, .tar (not "
            f"compressed), .txt, {', '.join(READERS)}."
        )
    row = image_at(as_text(name_of(place)), str(place) if is_remote(place) else place)
    return Source(root_of(place), lambda: iter([row]))


def _cure(kind: str) -> str:
    return f" (pip install '{MISSING_PACKAGES[kind]}')" if kind in MISSING_PACKAGES else ""


def _of_folder(place: Any) -> Source:
    others = PassedOver()
    if shards := matches(Pattern(place, ("*.tar",)), others.add):
        return replace(tar_source(root_of(place), files_below(place, shards)), passed_over=others)
    return store_source(place) if is_remote(place) else folder_source(place)
