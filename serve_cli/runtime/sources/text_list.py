"""A text file with the path of an image in each line."""

from __future__ import annotations

import io
from itertools import islice
from typing import TYPE_CHECKING, Any

from gluon_lifted.errors import DataError
from serve_cli.runtime.sources.place import beside, image_at, open_file, reading, root_of
from serve_cli.runtime.sources.source import Source, as_text

if TYPE_CHECKING:
    from collections.abc import Iterator

    from serve_cli.runtime.rows import ImageRow

MAX_LINE = 1 << 16  # bytes


def list_source(path: Any) -> Source:
    """Paths relative to the list's folder, absolute ones, or URLs; empty lines are passed over. A path is its row's id.

    Raises
    ------
    DataError
        If no line names an image, or the list cannot be read.
    """

    def listing(start: int = 0) -> Iterator[ImageRow]:
        for name in islice(_lines(path), start, None):
            yield image_at(as_text(name), beside(path, name))

    if next(listing(), None) is None:
        raise DataError(f"{path}: lists no images; expected a path in each line.")
    return Source(root_of(path), listing, starting=listing)


def _lines(path: Any) -> Iterator[str]:
    # File names need not be UTF-8.
    with (
        reading(path),
        open_file(path) as binary,
        io.TextIOWrapper(binary, encoding="utf-8", errors="surrogateescape") as file,
    ):
        number = 0
        while line := file.readline(MAX_LINE):
            number += 1
            if len(line) == MAX_LINE or "\0" in line:
                raise DataError(f"{path}, line {number}: not a path.")
            if name := line.strip("\r\n"):
                yield name
