"""Thumbnails of the rows of an index: read only below the source that the embeddings name, kept in bounded memory."""

from __future__ import annotations

import io
import os
from collections import OrderedDict
from functools import lru_cache
from itertools import islice
from threading import Lock
from typing import TYPE_CHECKING

import numpy as np

from gluon_lifted.errors import LiftedError
from serve_cli.http.errors import RequestError, not_shown
from serve_cli.http.facets import describe_columns
from serve_cli.http.parsing.image_text import WEB
from serve_cli.report.access import TAR, Access, WithheldError, is_url
from serve_cli.report.thumbnails import shard_readers, thumbnail
from serve_cli.retrieval.index.id_rows import IdRows
from serve_cli.retrieval.search.page_pictures import source_of_segment

if TYPE_CHECKING:
    from collections.abc import Callable

    from gluon_lifted.images import DecodeLimits
    from serve_cli.retrieval.index.catalog import CatalogIndex

JPEG_QUALITY = 85
CACHE_BYTES = 16 << 20  # about 1000 thumbnails of 256 px
MAX_TARS, MAX_MEMBERS = 4, 200_000  # tar files whose members are remembered


class Gallery:
    """The rows of an index by id, their pictures, and what its columns hold. Any number of threads may use it.

    Parameters
    ----------
    catalog : CatalogIndex
        Stays open.
    limits : DecodeLimits
        Limits of all images that are decoded at the same time.
    cache_bytes : int
        Memory for thumbnails.

    Attributes
    ----------
    columns : list of dict
        Columns to filter by; see `describe_columns`.
    """

    def __init__(self, catalog: CatalogIndex, limits: DecodeLimits, cache_bytes: int = CACHE_BYTES) -> None:
        self._catalog, self._limits = catalog, limits
        self._access = [Access(source_of_segment(segment)) for segment in catalog.segments]
        self._ends = [segment.first + segment.rows for segment in catalog.segments]
        self._cache, self._id_rows = ThumbnailCache(cache_bytes), IdRows(catalog)
        self.columns = describe_columns(catalog)
        self._shard = lru_cache(MAX_TARS)(self._list_shard)

    def row(self, name: str) -> int:
        """Return the row of an id. Raises `RequestError` 404 if there is none."""
        row = self._id_rows.find(name)
        if row is None:
            raise RequestError(404, f"there is no row with the id {name!r:.100}.")
        return row

    def url_to_fetch(self, name: str, side: int) -> str | None:
        """Return the URL of a row's picture, or None if it is a file or its thumbnail is cached.

        Raises `RequestError` 404 if there is no such row.
        """
        row = self.row(name)
        path = self._path(row)
        return path if WEB.match(path) and self._cache.get((row, side)) is None else None

    def thumbnail(self, name: str, side: int, content: bytes | None = None) -> bytes:
        """Return the picture of a row as JPEG, ``side`` px on its longer side.

        Parameters
        ----------
        name : str
            Id of the row.
        side : int
            Pixels.
        content : bytes, optional
            The picture, if it was fetched.

        Raises
        ------
        RequestError
            404 if there is no such row, or its picture may not be read or cannot be decoded.
        """
        row = self.row(name)
        cached = self._cache.get((row, side))
        if cached is None:
            cached = self._encode(row, name, side, content)
            self._cache.put((row, side), cached)
        return cached

    def _path(self, row: int) -> str:
        return str(self._catalog.table(np.array([row]), ["path"])["path"][0].as_py())

    def _encode(self, row: int, name: str, side: int, content: bytes | None) -> bytes:
        number = next(number for number, end in enumerate(self._ends) if row < end)
        try:
            content = self._read(self._path(row), number) if content is None else content
            picture = thumbnail(content, side, self._limits)
        except (LiftedError, WithheldError, OSError, ValueError):
            raise not_shown(name) from None
        encoded = io.BytesIO()
        picture.save(encoded, "JPEG", quality=JPEG_QUALITY)
        return encoded.getvalue()

    def _read(self, path: str, number: int) -> bytes:
        access = self._access[number]
        if TAR in path and not is_url(path) and not os.path.exists(path):
            shard = path[: path.index(TAR) + len(TAR) - 1]
            reader = self._shard(shard, number).get(path)
            if reader is None:
                raise ValueError("no such member")
            return reader()
        return access.read(path)

    def _list_shard(self, shard: str, number: int) -> dict[str, Callable[[], bytes]]:
        return dict(islice(shard_readers(shard, self._access[number]), MAX_MEMBERS))


class ThumbnailCache:
    """The most recently used thumbnails, within a number of bytes."""

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes, self._bytes = max_bytes, 0
        self._content: OrderedDict[tuple[int, int], bytes] = OrderedDict()
        self._lock = Lock()

    def get(self, key: tuple[int, int]) -> bytes | None:
        """Return a thumbnail, or None if it is no longer kept."""
        with self._lock:
            content = self._content.get(key)
            if content is not None:
                self._content.move_to_end(key)
            return content

    def put(self, key: tuple[int, int], content: bytes) -> None:
        """Keep a thumbnail, and drop the least recently used ones."""
        with self._lock:
            self._bytes += len(content) - len(self._content.pop(key, b""))
            self._content[key] = content
            while self._bytes > self._max_bytes:
                _, dropped = self._content.popitem(last=False)
                self._bytes -= len(dropped)
