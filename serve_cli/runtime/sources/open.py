"""What a user names -> the source that it is."""

from __future__ import annotations

import os
from pathlib import Path

from gluon_lifted.errors import DataError
from serve_cli.runtime.rows import ImageRow
from serve_cli.runtime.sources.folder import folder_source
from serve_cli.runtime.sources.manifest import READERS, Columns, manifest_source
from serve_cli.runtime.sources.source import Source, as_text
from serve_cli.runtime.sources.tar import tar_source
from serve_cli.runtime.sources.text_list import list_source

DEFAULTS = Columns()


def open_source(path: Path, columns: Columns = DEFAULTS) -> Source:
    """A folder of images or of tar shards, one tar shard, a list, a manifest, or a single image file.

    Parameters
    ----------
    path : Path
        ``.tar``: a shard; ``.txt``: a list of paths; ``.csv``, ``.jsonl``, ``.parquet``: a manifest; another file: an
        image; a folder: its images, or its tar shards if it holds any.
    columns : Columns
        Of a manifest.

    Raises
    ------
    DataError
        If ``path`` is missing, holds no images, or cannot be read.
    """
    path = Path(os.path.abspath(path))
    if path.is_dir():
        shards = sorted(path.glob("*.tar"))
        return tar_source(path, shards) if shards else folder_source(path)
    if not path.is_file():
        raise DataError(f"{path}: no such file or folder.")
    kind = path.suffix.lower()
    if kind == ".tar":
        return tar_source(path, [path])
    if kind == ".txt":
        return list_source(path)
    if kind in READERS:
        return manifest_source(path, columns)
    return Source(path.parent, lambda: iter([ImageRow(as_text(path.name), path)]))
