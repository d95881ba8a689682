"""A text file with one image path per line."""

from __future__ import annotations

from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from gluon_lifted.errors import DataError
from serve_cli.sources.image_bytes import image_at, unreadable
from serve_cli.sources.location import beside, id_beside, root_of
from serve_cli.sources.source import Source, as_text
from serve_cli.sources.text import open_text

if TYPE_CHECKING:
    from collections.abc import Iterator

    from serve_cli.sources.image_row import ImageRow
    from serve_cli.sources.location import Location

MAX_LINE = 1 << 16  # characters
FIRST_LINES = 10  # one of them must name an image


def list_source(path: Location) -> Source:
    """Open a list of URLs and paths, absolute or relative to the list's folder. Blank lines are skipped.

    The path or URL is the row's id.

    Raises
    ------
    DataError
        If all lines are blank, the first ones name nothing that exists, or the list cannot be read.
    """

    def listing(start: int = 0) -> Iterator[ImageRow]:
        for number, name in islice(_lines(path), start, None):
            if len(name) < MAX_LINE:
                yield image_at(as_text(id_beside(path, name)), beside(path, name))
            else:
                yield unreadable(
                    f"line {number}", f"{path}, line {number}", f"{MAX_LINE:,} or more characters; expected a path"
                )

    first = list(islice(listing(), FIRST_LINES))
    if not first:
        raise DataError(f"{path}: lists no images; expected one path per line.")
    if all(isinstance(row.path, Path) and not row.path.exists() for row in first):
        raise DataError(
            f"{path}: names no image that exists in its first lines; looked for {as_text(first[0].path)}. Expected one "
            "path or URL of an image per line. Relative paths begin at the folder of the list."
        )
    return Source(root_of(path), listing, starting=listing)


def _lines(path: Location) -> Iterator[tuple[int, str]]:
    """Iterate over lines that are not blank, with numbers from 1. Long ones are cut after ``MAX_LINE`` characters."""
    with open_text(path, "surrogateescape") as file:  # file names need not be UTF-8
        number = 0
        while line := file.readline(MAX_LINE):
            if not number and "\0" in line:
                raise DataError(
                    f"{path}: is not a list of paths, or not UTF-8; save it as UTF-8 text with one path per line."
                )
            number += 1
            rest = line
            while len(rest) == MAX_LINE and not rest.endswith("\n"):
                rest = file.readline(MAX_LINE)
            if line.strip():
                yield number, line.strip("\r\n")
