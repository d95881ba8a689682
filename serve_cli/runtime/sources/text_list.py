"""A text file with the path of an image in each line."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Any

from gluon_lifted.errors import DataError
from serve_cli.runtime.sources.place import beside, image_at, root_of
from serve_cli.runtime.sources.source import Source, as_text
from serve_cli.runtime.sources.text import bounded_lines, open_text

if TYPE_CHECKING:
    from collections.abc import Iterator

    from serve_cli.runtime.rows import ImageRow

MAX_LINE = 1 << 16  # characters


def list_source(path: Any) -> Source:
    """Paths relative to the list's folder, absolute ones, or URLs; blank lines are passed over. A path is its row's id.

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
    with open_text(path, "surrogateescape") as file:  # file names need not be UTF-8
        for number, line in enumerate(bounded_lines(path, file, MAX_LINE), 1):
            if len(line) == MAX_LINE or "\0" in line:
                raise DataError(f"{path}, line {number}: not a path; expected one in each line, in UTF-8.")
            if line.strip():
                yield line.strip("\r\n")
