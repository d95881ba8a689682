"""A table of images: CSV, JSON lines or parquet, with a path or the bytes of an image in each row."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import dataclass, fields
from functools import partial
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq

from gluon_lifted.errors import ConfigError, DataError, ImageError
from serve_cli.runtime.rows import ImageRow
from serve_cli.runtime.sources.place import beside, image_at, is_remote
from serve_cli.runtime.sources.source import Source, as_text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

MAX_LINE = 1 << 24  # bytes of a line, with an image's bytes never in it
READ_ROWS = 64  # of parquet at a time: with their images in memory


@dataclass(frozen=True)
class Columns:
    """The names of a manifest's columns; those that are not there count for nothing.

    Parameters
    ----------
    id : str
        What names the row; else its path does, else its number from 0.
    path : str
        Relative to the manifest's folder, absolute, or a URL.
    bytes : str
        Of parquet: the image itself, binary or a struct with a field ``bytes``; goes before a path.
    label : str
    """

    id: str = "id"
    path: str = "path"
    bytes: str = "bytes"
    label: str = "label"

    def __post_init__(self) -> None:
        names = [getattr(self, field.name) for field in fields(self)]
        if len(set(names)) < len(names):
            raise ConfigError(f"columns {', '.join(names)}: id, path, bytes and label are four different ones.")


def manifest_source(path: Any, columns: Columns) -> Source:
    """The rows of a manifest, in order; all its other columns are carried along.

    Raises
    ------
    DataError
        If the table cannot be read, has neither paths nor images, or no rows.
    """
    known = READERS[path.suffix.lower()].schema(path)
    if columns.path not in known.names and columns.bytes not in known.names:
        raise DataError(f"{path}: has neither a column {columns.path!r} nor {columns.bytes!r}; found {known.names}.")
    used = {columns.id, columns.path, columns.bytes, columns.label}
    extra = pa.schema([one for one in known if one.name not in used])

    def listing(names: list[str]) -> Iterator[ImageRow]:
        for number, row in enumerate(READERS[path.suffix.lower()].rows(path, names)):
            yield _image_row(path, number, row, columns, extra)

    # The bytes of a struct come with the path that may name the row.
    light = [one.name for one in known if one.name != columns.bytes or pa.types.is_struct(one.type)]
    if next(listing(light), None) is None:
        raise DataError(f"{path}: has no rows.")
    root = str(path) if is_remote(path) else path
    return Source(root, lambda: listing(known.names), extra, lambda: listing(light))


def _image_row(path: Any, number: int, row: dict[str, Any], columns: Columns, extra: pa.Schema) -> ImageRow:
    content, name = row.get(columns.bytes), row.get(columns.path)
    if isinstance(content, dict):
        name, content = name or content.get("path"), content.get("bytes")
    found = name if isinstance(name, str) and name else None
    label, given = row.get(columns.label), row.get(columns.id)
    called = as_text(str(given if given is not None else number if found is None else found))
    label = None if label is None or label == "" else str(label)
    carried = {column: row.get(column) for column in extra.names}
    if found is not None and not isinstance(content, bytes):
        return image_at(called, beside(path, found), label, carried)
    read = _missing(f"{path}, row {number}: has neither a path nor an image.")
    if isinstance(content, bytes):
        read = partial(bytes, content)
    return ImageRow(called, str(path if found is None else path.parent / found), label, content=read, extra=carried)


def _missing(message: str) -> Callable[[], bytes]:
    def fail() -> bytes:
        raise ImageError(message)

    return fail


class _Csv:
    @staticmethod
    def schema(path: Any) -> pa.Schema:
        with path.open(newline="", encoding="utf-8-sig", errors="backslashreplace") as file:
            names = next(csv.reader([file.readline(MAX_LINE)]), [])
        if len(set(names)) < len(names):
            raise DataError(f"{path}: has a column more than once: {names}.")
        return pa.schema([(name, pa.string()) for name in names])

    @staticmethod
    def rows(path: Any, names: list[str]) -> Iterator[dict[str, Any]]:
        try:
            with path.open(newline="", encoding="utf-8-sig") as file:
                reader = csv.DictReader(file, strict=True)
                for row in reader:
                    if None in row or None in row.values():
                        raise DataError(f"{path}, line {reader.line_num}: has other cells than the header.")
                    yield row
        except (OSError, UnicodeDecodeError, csv.Error) as error:
            raise DataError(f"{path}: not readable as CSV ({error}); save it as UTF-8 text with commas.") from None


class _JsonLines:
    @staticmethod
    def schema(path: Any) -> pa.Schema:
        """Of the first row; what is no text is carried as JSON."""
        return pa.schema([(name, pa.string()) for name in next(_JsonLines.rows(path, []), {})])

    @staticmethod
    def rows(path: Any, names: list[str]) -> Iterator[dict[str, Any]]:
        number = 0
        try:
            with path.open("rb") as raw, io.BufferedReader(raw) as file:  # a store's readline takes no limit
                while line := file.readline(MAX_LINE):
                    number += 1
                    row = json.loads(line)
                    if not isinstance(row, dict):
                        raise ValueError("not an object")
                    yield {
                        name: value if value is None or isinstance(value, str) else json.dumps(value)
                        for name, value in row.items()
                    }
        except (OSError, ValueError, RecursionError) as error:
            raise DataError(f"{path}, line {number}: not readable as JSON ({error!s:.200}).") from None


class _Parquet:
    @staticmethod
    def schema(path: Any) -> pa.Schema:
        try:
            with path.open("rb") as file, pq.ParquetFile(file) as table:
                return table.schema_arrow.remove_metadata()
        except (OSError, pa.ArrowException) as error:
            raise DataError(f"{path}: not readable as parquet ({error!s:.200}).") from None

    @staticmethod
    def rows(path: Any, names: list[str]) -> Iterator[dict[str, Any]]:
        try:
            with path.open("rb") as file, pq.ParquetFile(file) as table:
                for batch in table.iter_batches(READ_ROWS, columns=names):
                    yield from batch.to_pylist()
        except (OSError, pa.ArrowException) as error:
            raise DataError(f"{path}: not readable as parquet ({error!s:.200}).") from None


READERS: dict[str, Any] = {".csv": _Csv, ".jsonl": _JsonLines, ".parquet": _Parquet}
