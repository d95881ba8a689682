"""Tables of images in CSV, JSON lines or parquet. Each row has the path or the bytes of an image."""

from __future__ import annotations

import posixpath
from abc import ABC, abstractmethod
from dataclasses import dataclass, fields, replace
from functools import partial
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from gluon_lifted.errors import DataError
from serve_cli.sources.image_bytes import image_at
from serve_cli.sources.image_row import HeldImage, ImageRow
from serve_cli.sources.location import beside, file_stamp, id_beside
from serve_cli.sources.source import ReadingMemory, Source, as_text, one_after_another
from serve_cli.sources.tables.columns import Columns, image_columns, image_of, text_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from serve_cli.sources.location import Location
    from serve_cli.sources.source import Files
    from serve_cli.sources.tables.columns import ImageColumns


class TableReader(ABC):
    """Reads tables in files of one kind."""

    @abstractmethod
    def schema(self, location: Location) -> pa.Schema:
        """Return the columns with their types, or text where the file has no types. Raises `DataError`."""

    @abstractmethod
    def rows(self, location: Location, names: list[str], start: int = 0) -> Iterator[dict[str, Any]]:
        """Iterate over rows from number ``start`` on. Each has at least the named columns.

        Values are `Cell`, text, None or, from JSON, numbers.
        """

    def carried(self, locations: Sequence[Location], columns: pa.Schema) -> pa.Schema:
        """Return the types of the columns that are carried along from several files. Raises `DataError`."""
        return columns

    def carried_value(self, value: Any, kind: pa.DataType) -> Any:
        """Convert a value to its type: `Cell` or a Python object. Raises `ValueError` if it does not fit."""
        return value

    def count(self, location: Location) -> int | None:
        """Return the number of rows, or None if that would require reading all of them."""
        return None

    def memory(self, location: Location, names: list[str], carried: list[str]) -> ReadingMemory:
        """Compute the peak memory of reading the named columns. Rows keep the ``carried`` ones."""
        return ReadingMemory()


def table_source(root: Path | str, files: Files, columns: Columns, reader: TableReader) -> Source:
    """Open tables of one kind, in order. All other columns are carried along.

    A row without an id or path gets its number over all files as its id. A relative path used as an id starts at the
    common folder of all files.

    Raises
    ------
    DataError
        If a table cannot be read, has neither paths nor images, a column of an unsuitable type, or other columns than
        the first table, or if there are no rows.
    """
    tables = _to_tables(files, columns, reader)

    def count(name: str) -> int | None:
        return reader.count(files.at(name))

    def listing_of(names: list[str]) -> Callable[[int], Iterator[ImageRow]]:
        return one_after_another(files.names, partial(tables.rows, names), count)

    listing, light = listing_of(tables.known.names), tables.light_names()
    naming = listing if light == tables.known.names else listing_of(light)
    if next(naming(0), None) is None:
        raise DataError(f"{root}: has no rows.")
    return Source(
        root,
        partial(listing, 0),
        extra=tables.extra,
        naming=partial(naming, 0),
        starting=listing,
        memory=tables.memory,
    )


@dataclass(frozen=True)
class _Tables:
    """Tables with the same columns: ``known``, of which ``extra`` are carried along, with the types that they get."""

    files: Files
    columns: Columns
    reader: TableReader
    known: pa.Schema
    present: ImageColumns
    extra: pa.Schema

    def light_names(self) -> list[str]:
        """List the columns needed to name a row, including the path inside an image's struct."""
        light = [name for name in self.known.names if name != self.present.bytes]
        if self.present.bytes is not None and pa.types.is_struct(kind := self.known.field(self.present.bytes).type):
            light += [f"{self.present.bytes}.path"] if kind.get_field_index("path") >= 0 else []
        return light

    def memory(self) -> ReadingMemory:
        """Find the table with the largest peak memory."""
        locations = map(self.files.at, self.files.names)
        memory = [self.reader.memory(location, self.known.names, self.extra.names) for location in locations]
        return max(memory)._replace(row_bytes=max(table.row_bytes for table in memory))

    def rows(self, names: list[str], file: str, first: int, start: int) -> Iterator[ImageRow]:
        """Iterate over a file's rows from ``start`` on. ``first`` is the number of its first row over all files."""
        location = self.files.at(file)
        if file != self.files.names[0]:
            self._require_known_columns(location)
        stamp = file_stamp(location) if self.present.bytes else ()  # the images are in this file
        for number, row in enumerate(self.reader.rows(location, names, start), start):
            yield replace(self._image_row(location, posixpath.dirname(file), number, first, row), stamp=stamp)

    def _require_known_columns(self, location: Location) -> None:
        schema = self.reader.schema(location)
        where = f"{self.files.at(self.files.names[0])} and {location}"
        if not schema.names:
            return  # an empty file
        if different := sorted(set(self.known.names) ^ set(schema.names)):
            raise DataError(f"{where}: only one of them has a column {different[0]!r}; embed them one by one.")
        if image_columns(location, self.columns, schema) != self.present:
            raise DataError(
                f"{where}: only one of them has images in column {self.columns.bytes!r}; embed them one by one."
            )
        for name in self.extra.names:
            one, other = self.known.field(name).type, schema.field(name).type
            if one != other:
                raise DataError(
                    f"{where}: column {name!r} is {one} in one and {other} in the other; embed them one by one."
                )

    def _image_row(self, location: Location, folder: str, number: int, first: int, row: dict[str, Any]) -> ImageRow:
        image = image_of(row.get(self.present.bytes or ""))
        path = text_of(row.get(self.present.path or "")) or image.path
        label, given = text_of(row.get(self.present.label or "")), text_of(row.get(self.present.id or ""))
        if given is None:
            given = str(first + number) if path is None else id_beside(location, _from(folder, path))
        extra = {field.name: self._carried(location, number, field, row) for field in self.extra}
        label = as_text(label) if label else None
        where = str(location) if path is None else beside(location, path)
        if path is not None and image.content is None:
            return image_at(as_text(given), where, label, extra)
        held = HeldImage(image.content, f"{location}, row {number}")
        return ImageRow(as_text(given), str(where), label, content=held, extra=extra)

    def _carried(self, location: Location, number: int, field: pa.Field, row: dict[str, Any]) -> Any:
        try:
            return self.reader.carried_value(row.get(field.name), field.type)
        except ValueError as error:
            raise DataError(
                f"{location}, row {number}: {field.name!r} {error}; the file is changing. Start again once it "
                "is complete."
            ) from None


def _to_tables(files: Files, columns: Columns, reader: TableReader) -> _Tables:
    location = files.at(files.names[0])
    known = reader.schema(location)
    for field in fields(Columns):
        name = getattr(columns, field.name)
        if name != field.default and name not in known.names:
            raise DataError(f"{location}: has no column {name!r}; its columns are {', '.join(known.names)}.")
    present = image_columns(location, columns, known)
    extra = pa.schema([field for field in known if field.name not in present.names()])
    extra = reader.carried([files.at(name) for name in files.names], extra)
    return _Tables(files, columns, reader, known=known, present=present, extra=extra)


def _from(folder: str, path: str) -> str:
    """Prefix a relative path in a manifest with the manifest's folder. URLs and absolute paths stay the same."""
    return path if "://" in path else posixpath.join(folder, path)
