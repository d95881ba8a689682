"""Text files in UTF-8, with or without a byte-order mark."""

from __future__ import annotations

import codecs
import io
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from gluon_lifted.errors import DataError
from serve_cli.sources.location import open_file, reading

if TYPE_CHECKING:
    from collections.abc import Iterator

    from serve_cli.sources.location import Location

OTHER_MARKS = {b"\xff\xfe": "UTF-16", b"\xfe\xff": "UTF-16", b"\0\0\xfe\xff": "UTF-32"}


@contextmanager
def open_binary(location: Location) -> Iterator[io.BufferedReader]:
    """Open a text file as bytes, after its byte-order mark. Raises `DataError` if it is UTF-16 or UTF-32."""
    with reading(location), open_file(location) as file:
        start = file.peek(4)
        if kind := next((kind for mark, kind in OTHER_MARKS.items() if start.startswith(mark)), None):
            raise DataError(f"{location}: is {kind} text; save it as UTF-8.")
        if start.startswith(codecs.BOM_UTF8):
            file.read(len(codecs.BOM_UTF8))
        yield file


@contextmanager
def open_text(location: Location, errors: str, newline: str | None = None) -> Iterator[io.TextIOWrapper]:
    """Open a text file after its byte-order mark. ``errors`` and ``newline`` as for `open`."""
    with open_binary(location) as binary, io.TextIOWrapper(binary, "utf-8", errors, newline) as file:
        yield file


def bounded_lines(location: Location, file: Any, most: int) -> Iterator[Any]:
    """Iterate over the lines of a text or binary file. Raises `DataError` if a line is longer than ``most``."""
    number = 0
    while line := file.readline(most + 1):
        number += 1
        if len(line) > most:
            raise DataError(f"{location}, line {number}: is longer than {most:,}; expected one row per line.")
        yield line
