"""What a user names -> the source that it is."""

from __future__ import annotations

import os
from typing import Any

from gluon_lifted.errors import DataError, LiftedError
from serve_cli.runtime.rows import ImageRow
from serve_cli.runtime.sources.folder import folder_source
from serve_cli.runtime.sources.manifest import READERS, Columns, manifest_source
from serve_cli.runtime.sources.place import is_remote, to_place
from serve_cli.runtime.sources.remote_folder import remote_folder_source
from serve_cli.runtime.sources.source import Source, as_text
from serve_cli.runtime.sources.tar import tar_source
from serve_cli.runtime.sources.text_list import list_source

DEFAULTS = Columns()


def open_source(name: str | os.PathLike[str], columns: Columns = DEFAULTS) -> Source:
    """A folder of images or of tar shards, one tar shard, a list, a manifest, or a single image file.

    Parameters
    ----------
    name : str or path
        A path, or a URL that fsspec knows, such as ``s3://bucket/folder``. ``.tar``: a shard; ``.txt``: a list of
        paths; ``.csv``, ``.jsonl``, ``.parquet``: a manifest; another file: an image; a folder: its images, or its
        tar shards if it holds any.
    columns : Columns
        Of a manifest.

    Raises
    ------
    DataError
        If there is no such thing, it holds no images, or cannot be read.
    """
    place = to_place(name)
    try:
        return _open(place, columns)
    except LiftedError:
        raise
    except Exception as error:  # stores have errors of their own, which are not OSErrors
        if not is_remote(place):
            raise
        raise DataError(f"{place}: cannot be read ({type(error).__name__}: {error!s:.200}).") from error


def _open(place: Any, columns: Columns) -> Source:
    kind = place.suffix.lower()
    if kind == ".tar" and place.is_file():
        return tar_source(place, [place])
    if kind == ".txt" and place.is_file():
        return list_source(place)
    if kind in READERS and place.is_file():
        return manifest_source(place, columns)
    if place.is_dir():
        if shards := sorted(place.glob("*.tar")):
            return tar_source(place, shards)
        return remote_folder_source(place) if is_remote(place) else folder_source(place)
    if not place.is_file():
        raise DataError(f"{place}: no such file or folder.")
    if is_remote(place):
        raise DataError(f"{place}: is a single image; give its folder, or a list of URLs.")
    return Source(place.parent, lambda: iter([ImageRow(as_text(place.name), place)]))
