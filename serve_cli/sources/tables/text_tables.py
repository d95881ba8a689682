"""Read tables in text files row by row: CSV and JSON lines."""

from __future__ import annotations

import csv
import json
from abc import abstractmethod
from contextlib import contextmanager
from itertools import chain, islice
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from gluon_lifted.errors import DataError
from serve_cli.sources.tables.columns import text_of
from serve_cli.sources.tables.table import TableReader
from serve_cli.sources.tables.value_types import TYPES, infer_types, json_fits, text_fits, to_type
from serve_cli.sources.text import bounded_lines, open_binary, open_text

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from serve_cli.sources.location import Location

MAX_LINE = 1 << 24  # characters per line, or per CSV row of several lines


class TextTableReader(TableReader):
    """Reads files that have no types; see `serve_cli.sources.tables.value_types`."""

    @abstractmethod
    def fits(self, value: Any, kind: pa.DataType) -> bool:
        """Whether a value, not None or ``""``, can become one of a type without losing digits."""

    def carried(self, locations: Sequence[Location], columns: pa.Schema) -> pa.Schema:
        """Read all files once and return the columns with the types of their values."""
        if not columns.names:
            return columns
        rows = chain.from_iterable(self.rows(location, columns.names) for location in locations)
        types = infer_types(rows, columns.names, self.fits)
        return pa.schema([(name, types.get(name, pa.string())) for name in columns.names])

    def carried_value(self, value: Any, kind: pa.DataType) -> Any:
        """Convert a value to a Python object. Raises `ValueError` if it does not fit its type any more."""
        if kind not in TYPES:
            return text_of(value)
        if value is None or value == "":
            return None
        if not self.fits(value, kind):
            raise ValueError(f"is {value!r:.80}, expected {kind} as when the file was first read")
        return to_type(value, kind)


class CsvReader(TextTableReader):
    """Reads comma-separated values with a header."""

    def schema(self, path: Location) -> pa.Schema:
        """Return the columns of the header, all text. Raises `DataError` if a name occurs twice."""
        with _csv(path, errors="backslashreplace") as rows:
            _, names = next(rows, (0, []))
        if any("\0" in name for name in names):
            raise DataError(f"{path}: has a NUL in its first line; save it as UTF-8 text with commas.")
        if len(set(names)) < len(names):
            raise DataError(f"{path}: has a column more than once: {names}; rename it.")
        return pa.schema([(name, pa.string()) for name in names])

    def fits(self, value: str, kind: pa.DataType) -> bool:
        """Whether a text can become a value of a type."""
        return text_fits(value, kind)

    def rows(self, path: Location, names: list[str], start: int = 0) -> Iterator[dict[str, Any]]:
        """Iterate over the rows from number ``start`` on, with all columns. Blank lines are skipped."""
        with _csv(path) as rows:
            _, header = next(rows, (0, []))
            filled = ((line, cells) for line, cells in rows if len(cells) > 1 or "".join(cells).strip())
            for line, cells in islice(filled, start, None):
                if len(cells) != len(header):
                    raise DataError(
                        f"{path}, line {line}: has {len(cells)} cells, but the header has {len(header)}; "
                        "quote cells that contain commas."
                    )
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


class JsonLinesReader(TextTableReader):
    """Reads one JSON object per line. The first one defines the columns."""

    def schema(self, path: Location) -> pa.Schema:
        """Return the columns of the first row, all text. Lists and objects are carried as JSON."""
        return pa.schema([(name, pa.string()) for name in next(self.rows(path, []), {})])

    def fits(self, value: Any, kind: pa.DataType) -> bool:
        """Whether a value of JSON can become a value of a type."""
        return json_fits(value, kind)

    def rows(self, path: Location, names: list[str], start: int = 0) -> Iterator[dict[str, Any]]:
        """Iterate over the rows from number ``start`` on, with all columns. Blank lines are skipped."""
        known: set[str] = set()
        for count, (number, line) in enumerate(_filled_lines(path)):
            if 0 < count < start:
                continue
            try:
                row = _as_row(json.loads(line))
            except (ValueError, RecursionError) as error:
                raise DataError(
                    f"{path}, line {number}: not readable as JSON ({error!s:.200}); expected one object per line."
                ) from None
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
    return {_encodable(name): _as_cell(value) for name, value in row.items()}


def _as_cell(value: Any) -> Any:
    """Return numbers, true, false and null unchanged, and all else as text."""
    if value is None or isinstance(value, (bool, int, float)):
        return value
    return _encodable(value if isinstance(value, str) else json.dumps(value))


def _encodable(text: str) -> str:
    """Escape lone surrogates, which JSON may contain and UTF-8 cannot encode."""
    return text.encode(errors="backslashreplace").decode()
