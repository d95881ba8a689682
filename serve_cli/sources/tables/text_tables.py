"""Tables in text files, row by row: CSV and JSON lines."""

from __future__ import annotations

import csv
import json
from contextlib import contextmanager
from itertools import islice
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from gluon_lifted.errors import DataError
from serve_cli.sources.tables.table import TableReader
from serve_cli.sources.text import bounded_lines, open_binary, open_text

if TYPE_CHECKING:
    from collections.abc import Iterator

    from serve_cli.sources.location import Location

MAX_LINE = 1 << 24  # characters of a line, or of a CSV's row of several lines


class CsvReader(TableReader):
    """Comma-separated values with a header; every value is text."""

    def schema(self, path: Location) -> pa.Schema:
        with _csv(path, errors="backslashreplace") as rows:
            _, names = next(rows, (0, []))
        if any("\0" in name for name in names):
            raise DataError(f"{path}: has a NUL in its first line; save it as UTF-8 text with commas.")
        if len(set(names)) < len(names):
            raise DataError(f"{path}: has a column more than once: {names}.")
        return pa.schema([(name, pa.string()) for name in names])

    def rows(self, path: Location, names: list[str], start: int = 0) -> Iterator[dict[str, Any]]:
        with _csv(path) as rows:
            _, header = next(rows, (0, []))
            filled = ((line, cells) for line, cells in rows if len(cells) > 1 or "".join(cells).strip())
            for line, cells in islice(filled, start, None):
                if len(cells) != len(header):
                    raise DataError(f"{path}, line {line}: has another number of cells than the header.")
                yield dict(zip(header, cells, strict=True))


@contextmanager
def _csv(path: Location, errors: str = "strict") -> Iterator[Iterator[tuple[int, list[str]]]]:
    """Rows of cells, each with the number of its last line."""
    try:
        with open_text(path, errors, newline="") as file:
            yield _cells(path, bounded_lines(path, file, MAX_LINE))
    except (UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{path}: not readable as CSV ({error}); save it as UTF-8 text with commas.") from None


def _cells(path: Location, lines: Iterator[str]) -> Iterator[tuple[int, list[str]]]:
    size = 0

    def counted() -> Iterator[str]:
        nonlocal size
        for line in lines:
            size += len(line)
            if size > MAX_LINE:
                raise DataError(f"{path}: has a row of more than {MAX_LINE:,} characters; is a quote not closed?")
            yield line

    reader = csv.reader(counted(), strict=True)
    for cells in reader:
        size = 0
        yield reader.line_num, cells


class JsonLinesReader(TableReader):
    """A JSON object in each line; the first one names the columns."""

    def schema(self, path: Location) -> pa.Schema:
        """Of the first row; what is no text is carried as JSON."""
        return pa.schema([(name, pa.string()) for name in next(self.rows(path, []), {})])

    def rows(self, path: Location, names: list[str], start: int = 0) -> Iterator[dict[str, Any]]:
        known: set[str] = set()
        for count, (number, line) in enumerate(_filled_lines(path)):
            if 0 < count < start:
                continue
            try:
                row = _as_row(json.loads(line))
            except (ValueError, RecursionError) as error:
                raise DataError(f"{path}, line {number}: not readable as JSON ({error!s:.200}).") from None
            known = known or set(row)
            if unknown := sorted(row.keys() - known):
                raise DataError(
                    f"{path}, line {number}: has {unknown[0]!r}, which the first line lacks; name all columns there, "
                    "with null for what is missing."
                )
            if count >= start:
                yield row


def _filled_lines(path: Location) -> Iterator[tuple[int, str]]:
    """Lines that are not blank, with their numbers from 1."""
    with open_binary(path) as file:
        for number, line in enumerate(bounded_lines(path, file, MAX_LINE), 1):
            if line := line.strip():
                try:
                    yield number, line.decode()
                except UnicodeDecodeError as error:
                    raise DataError(f"{path}, line {number}: not UTF-8 ({error}); save it as UTF-8 text.") from None


def _as_row(row: Any) -> dict[str, Any]:
    if not isinstance(row, dict):
        raise ValueError("not an object")
    return {
        _encodable(name): value if value is None else _encodable(value if isinstance(value, str) else json.dumps(value))
        for name, value in row.items()
    }


def _encodable(text: str) -> str:
    """JSON may write halves of characters, which no file can hold: they stay written."""
    return text.encode(errors="backslashreplace").decode()
