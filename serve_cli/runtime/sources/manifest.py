"""Tables of images: CSV, JSON lines or parquet, with a path or the bytes of an image in each row."""

from __future__ import annotations

import posixpath
from dataclasses import dataclass, fields
from functools import partial
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from gluon_lifted.errors import ConfigError, DataError
from serve_cli.runtime.rows import ImageRow
from serve_cli.runtime.sources.files import one_after_another
from serve_cli.runtime.sources.place import beside, held_bytes, id_beside, image_at, kind_of
from serve_cli.runtime.sources.source import Source, as_text
from serve_cli.runtime.sources.tables import READERS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from serve_cli.runtime.sources.files import Files


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


def manifest_source(root: Path | str, files: Files, columns: Columns) -> Source:
    """The rows of manifests of one kind, in order; all their other columns are carried along.

    A row without a name is called by its number over all files, and one that is named by a relative path is called by
    its path from the folder that all files lie below.

    Raises
    ------
    DataError
        If a table cannot be read, has neither paths nor images, other columns than the first one, or if there are no
        rows.
    """
    manifests = _to_manifests(files, columns)
    reader, known = manifests.reader, manifests.known

    def count(name: str) -> int:
        return int(reader.count(files.at(name)))

    def listing_of(names: list[str]) -> Callable[[int], Iterator[ImageRow]]:
        return one_after_another(files.names, partial(manifests.rows, names), count if reader.count else None)

    listing = listing_of(known.names)
    # The bytes of a struct come with the path that may name the row.
    light = [one.name for one in known if one.name != columns.bytes or pa.types.is_struct(one.type)]
    naming = listing if light == known.names else listing_of(light)
    if next(naming(0), None) is None:
        raise DataError(f"{root}: has no rows.")
    return Source(root, partial(listing, 0), manifests.extra, partial(naming, 0), listing)


@dataclass(frozen=True)
class _Manifests:
    """Tables with columns as the first one has them: ``known``, of which ``extra`` are carried along."""

    files: Files
    columns: Columns
    reader: Any
    known: pa.Schema
    extra: pa.Schema

    def rows(self, names: list[str], file: str, first: int, start: int) -> Iterator[ImageRow]:
        """Rows of one file from ``start`` on; ``first`` is the number of its first row over all files."""
        place = self.files.at(file)
        if file != self.files.names[0]:
            self._require_known_columns(place)
        for number, row in enumerate(self.reader.rows(place, names, start), start):
            yield self._image_row(place, posixpath.dirname(file), number, first, row)

    def _require_known_columns(self, place: Any) -> None:
        found = self.reader.schema(place)
        where = f"{self.files.at(self.files.names[0])} and {place}"
        if not found.names:
            return  # nor are there rows
        if different := sorted(set(self.known.names) ^ set(found.names)):
            raise DataError(f"{where}: only one of them has a column {different[0]!r}; give them one by one.")
        for one in self.extra:
            if (other := found.field(one.name).type) != one.type:
                raise DataError(f"{where}: column {one.name!r} is {one.type} in one and {other} in the other.")

    def _image_row(self, place: Any, folder: str, number: int, first: int, row: dict[str, Any]) -> ImageRow:
        content, path = row.get(self.columns.bytes), row.get(self.columns.path)
        if isinstance(content, dict):
            path, content = path or content.get("path"), content.get("bytes")
        found = path if isinstance(path, str) and path else None
        label, given = row.get(self.columns.label), row.get(self.columns.id)
        if given is None:
            given = first + number if found is None else id_beside(place, _from(folder, found))
        called = as_text(str(given))
        label = None if label is None or label == "" else as_text(str(label))
        carried = {column: row.get(column) for column in self.extra.names}
        if found is not None and not isinstance(content, bytes):
            return image_at(called, beside(place, found), label, carried)
        read = partial(held_bytes, content if isinstance(content, bytes) else None, f"{place}, row {number}")
        return ImageRow(called, str(place if found is None else beside(place, found)), label, None, read, carried)


def _to_manifests(files: Files, columns: Columns) -> _Manifests:
    place = files.at(files.names[0])
    reader = READERS[kind_of(place)]
    known = reader.schema(place)
    _check_columns(place, columns, known)
    used = {columns.id, columns.path, columns.bytes, columns.label}
    extra = pa.schema([one for one in known if one.name not in used])
    return _Manifests(files, columns, reader, known, extra)


def _check_columns(place: Any, columns: Columns, known: pa.Schema) -> None:
    for field in fields(Columns):
        name = getattr(columns, field.name)
        if name != field.default and name not in known.names:
            raise DataError(f"{place}: has no column {name!r}; found {known.names}.")
    if columns.path not in known.names and columns.bytes not in known.names:
        images = [one.name for one in known if pa.types.is_binary(one.type) or pa.types.is_struct(one.type)]
        hint = f" If {images[0]!r} holds the images, say --bytes-column {images[0]}." if images else ""
        raise DataError(
            f"{place}: has neither a column {columns.path!r} nor {columns.bytes!r}; found {known.names}.{hint}"
        )
    if columns.path in known.names:
        kind = known.field(columns.path).type
        if pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_nested(kind):
            raise DataError(f"{place}: column {columns.path!r} is {kind}, which is no path.")


def _from(folder: str, path: str) -> str:
    """A path relative to a manifest in ``folder``, from where the folder lies; URLs and absolute paths as they are."""
    return path if "://" in path else posixpath.join(folder, path)
