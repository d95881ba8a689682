"""Tables in files, row by row: CSV, JSON lines and parquet."""

from __future__ import annotations

import csv
import io
import json
from contextlib import contextmanager
from itertools import islice
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq

from gluon_lifted.errors import DataError
from serve_cli.runtime.sources.place import open_file, reading

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

MAX_LINE = 1 << 24  # bytes of a line, with an image's bytes never in it
READ_ROWS = 64  # of parquet at a time: with their images in memory


class _Csv:
    count: Callable[[Any], int] | None = None

    @staticmethod
    def schema(path: Any) -> pa.Schema:
        with _csv(path, errors="backslashreplace") as file:
            names = next(csv.reader([file.readline(MAX_LINE)]), [])
        if len(set(names)) < len(names):
            raise DataError(f"{path}: has a column more than once: {names}.")
        return pa.schema([(name, pa.string()) for name in names])

    @staticmethod
    def rows(path: Any, names: list[str], start: int = 0) -> Iterator[dict[str, Any]]:
        with _csv(path) as file:
            reader = csv.DictReader(file, strict=True)
            for row in islice(reader, start, None):
                if None in row or None in row.values():
                    raise DataError(f"{path}, line {reader.line_num}: has other cells than the header.")
                yield row


@contextmanager
def _csv(path: Any, errors: str = "strict") -> Iterator[io.TextIOWrapper]:
    with reading(path):
        try:
            with open_file(path) as binary, io.TextIOWrapper(binary, "utf-8-sig", errors, newline="") as file:
                yield file
        except (UnicodeDecodeError, csv.Error) as error:
            raise DataError(f"{path}: not readable as CSV ({error}); save it as UTF-8 text with commas.") from None


class _JsonLines:
    count: Callable[[Any], int] | None = None

    @staticmethod
    def schema(path: Any) -> pa.Schema:
        """Of the first row; what is no text is carried as JSON."""
        return pa.schema([(name, pa.string()) for name in next(_JsonLines.rows(path, []), {})])

    @staticmethod
    def rows(path: Any, names: list[str], start: int = 0) -> Iterator[dict[str, Any]]:
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
                    f"{path}, line {number}: has {unknown[0]!r}, which the first line has not; name all columns there, "
                    "with null for what is missing."
                )
            if count >= start:
                yield row


def _filled_lines(path: Any) -> Iterator[tuple[int, bytes]]:
    """Lines that are not empty, with their numbers from 1."""
    with reading(path), open_file(path) as file:
        number = 0
        while line := file.readline(MAX_LINE):
            number += 1
            if line := line.strip():
                yield number, line


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


class _Parquet:
    @staticmethod
    def schema(path: Any) -> pa.Schema:
        with _parquet(path) as table:
            return table.schema_arrow.remove_metadata()

    @staticmethod
    def count(path: Any) -> int:
        with _parquet(path) as table:
            return int(table.metadata.num_rows)

    @staticmethod
    def rows(path: Any, names: list[str], start: int = 0) -> Iterator[dict[str, Any]]:
        """Row groups before ``start`` are not read."""
        with _parquet(path) as table:
            group = 0
            while group < table.num_row_groups and start >= (size := table.metadata.row_group(group).num_rows):
                start -= size
                group += 1
            for batch in table.iter_batches(READ_ROWS, list(range(group, table.num_row_groups)), names):
                yield from batch.slice(min(start, len(batch))).to_pylist()
                start = max(start - len(batch), 0)


@contextmanager
def _parquet(path: Any) -> Iterator[pq.ParquetFile]:
    with reading(path):
        try:
            with open_file(path, seekable=True) as file, pq.ParquetFile(file) as table:
                yield table
        except (OSError, UnicodeDecodeError, pa.ArrowException) as error:
            raise DataError(f"{path}: not readable as parquet ({error!s:.200}).") from None


READERS: dict[str, Any] = {".csv": _Csv, ".jsonl": _JsonLines, ".parquet": _Parquet}
