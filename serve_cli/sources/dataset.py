"""The images of a data set that `lifted train` knows."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from serve_cli.sources.image_row import ImageRow
from serve_cli.sources.source import Source, as_text

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gluon_lifted.datasets import ImageTable


def table_source(table: ImageTable, root: Path) -> Source:
    """The images of a data set, with ids relative to ``root``, its folder or manifest, and class names for labels."""
    root = Path(os.path.abspath(root if root.is_dir() else root.parent))

    def listing() -> Iterator[ImageRow]:
        for row, (path, label) in enumerate(zip(table.paths, table.labels, strict=True)):
            relative = os.path.relpath(path, root).replace(os.sep, "/")
            yield ImageRow(as_text(relative), Path(os.path.abspath(path)), table.class_names[label], table.box(row))

    return Source(root, listing)
