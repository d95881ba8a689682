"""Read tables in text files row by row: CSV and JSON lines."""

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

MAX_LINE = 1 << 24  # characters per line, or per CSV row of several lines


class CsvReader(TableReader):
    """Reads comma-separated values with a header; every value is text."""

    def schema(self, path: Location) -> pa.Schema:
        """Return the columns of the header, all text. Raises `DataError` if a name occurs twice."""
        with _csv(path, errors="backslashreplace") as rows:
            _, names = next(rows, (0, []))
        if any("\0" in name for name in names):
            raise DataError(f"{path}: has a NUL in its first line; save it as UTF-8 text with commas.")
        if len(set(names)) < len(names):
            raise DataError(f"{path}: has a column more than once: {names}.")
        return pa.schema([(name, pa.string()) for name in names])

    def rows(self, path: Location, names: list[str], start: int = 0) -> Iterator[dict[str, Any]]:
        """Iterate over the rows from number ``start`` on, with all columns; blank lines are skipped."""
        with _csv(path) as rows:
            _, header = next(rows, (0, []))
            filled = ((line, cells) for line, cells in rows if len(cells) > 1 or "".join(cells).strip())
            for line, cells in islice(filled, start, None):
                if len(cells) != len(header):
                    raise DataError(f"{path}, line {line}: has {len(cells)} cells; the header has {len(header)}.")
                yield dict(zip(header, cells, strict=True))


@contextmanager
def _csv(path: Location, errors: str = "strict") -> Iterator[Iterator[tuple[int, list[str]]]]:
    """Iterate over rows of cells, each with the number of its last line."""
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
                raise DataError(f"{path}: has a row of more than {MAX_LINE:,} characters; check for an unclosed quote.")
            yield line

    reader = csv.reader(counted(), strict=True)
    for cells in reader:
        size = 0
        yield reader.line_num, cells


class JsonLinesReader(TableReader):
    """Reads one JSON object per line; the first one defines the columns."""

    def schema(self, path: Location) -> pa.Schema:
        """Return the columns of the first row, all text; other values are carried as JSON."""
        return pa.schema([(name, pa.string()) for name in next(self.rows(path, []), {})])

    def rows(self, path: Location, names: list[str], start: int = 0) -> Iterator[dict[str, Any]]:
        """Iterate over the rows from number ``start`` on, with all columns; blank lines are skipped."""
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
    """Iterate over the lines that are not blank, with their numbers from 1."""
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
    """Escape lone surrogates, which JSON may contain and UTF-8 cannot encode."""
    return text.encode(errors="backslashreplace").decode()
