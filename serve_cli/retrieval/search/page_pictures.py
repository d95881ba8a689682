"""Read the pictures of a page: of rows below the sources that their embeddings name, and of the queries."""

from __future__ import annotations

from collections import Counter
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gluon_lifted.errors import LiftedError
from serve_cli.embeddings.embedding_manifest import read_manifest
from serve_cli.report.access import Access, Fetcher
from serve_cli.report.report_options import NotShown
from serve_cli.report.thumbnails import read_thumbnails, thumbnail
from serve_cli.retrieval.search.page import query_key
from serve_cli.sources.image_bytes import read_image_bytes

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from PIL.Image import Image

    from serve_cli.report.access import Reason
    from serve_cli.retrieval.index.catalog import CatalogIndex
    from serve_cli.retrieval.index.segment import Segment
    from serve_cli.retrieval.search.matches import Matches
    from serve_cli.sources.image_row import ImageRow


@dataclass(frozen=True)
class PictureAccess:
    """Which pictures a page may read.

    Parameters
    ----------
    roots : tuple of Path
        Folders to read below, in place of the sources that the embeddings name.
    fetch : bool
        Fetch pictures that have URLs.
    """

    roots: tuple[Path, ...] = ()
    fetch: bool = False


@dataclass(frozen=True, eq=False)
class PagePictures:
    """Pictures by the keys of `serve_cli.retrieval.search.page`, and why others are missing."""

    pictures: Mapping[int, Image]
    not_shown: tuple[NotShown, ...]


def read_page_pictures(index: CatalogIndex, results: Sequence[Matches], access: PictureAccess) -> PagePictures:
    """Read the pictures of queries and of the rows that they return.

    Photographs that the caller named are read where they are. All others are named by an index or an embedding folder,
    which a stranger may have written, so each is read only below the source of its own embedding folder.

    Raises
    ------
    ConfigError
        If a root is not a folder.
    """
    fetcher = Fetcher() if access.fetch else None
    pictures: dict[int, Image] = {}
    missing: Counter[str] = Counter()
    reasons: dict[str, Reason] = {}
    for source, paths in _paths_by_source(index, results).items():
        allowed = Access(source, access.roots, fetcher)
        keys = list(paths)
        thumbnails = read_thumbnails(list(paths.values()), range(len(keys)), allowed)
        pictures |= {keys[number]: picture for number, picture in thumbnails.pictures.items()}
        for reason, count in thumbnails.not_shown.items():
            why = allowed.why(reason)
            missing[why] += count
            reasons[why] = reason
    for number, matches in enumerate(results):
        if matches.query.image is not None and (picture := _given_picture(matches.query.image)) is not None:
            pictures[query_key(number)] = picture
    return PagePictures(pictures, tuple(NotShown(reasons[why], count, why) for why, count in missing.most_common()))


def _paths_by_source(index: CatalogIndex, results: Sequence[Matches]) -> dict[str | None, dict[int, str]]:
    """Return source -> key -> path of all pictures that an index or an embedding folder names."""
    sources = [source_of_segment(segment) for segment in index.segments]
    ends = [segment.first + segment.rows for segment in index.segments]
    paths: dict[str | None, dict[int, str]] = {}
    for number, matches in enumerate(results):
        for row, path in zip(matches.rows.tolist(), matches.paths, strict=True):
            source = next(source for source, end in zip(sources, ends, strict=True) if row < end)
            paths.setdefault(source, {})[row] = path
        query = matches.query
        if query.path is not None:
            paths.setdefault(query.source, {})[query_key(number)] = query.path
    return paths


def source_of_segment(segment: Segment) -> str | None:
    """Return what a segment's embedding folder names as its source, or None if the folder is no longer there."""
    with suppress(LiftedError):
        source: Any = read_manifest(Path(segment.record.embeddings)).get("source")
        return source if isinstance(source, str) else None
    return None


def _given_picture(image: ImageRow) -> Image | None:
    try:
        return thumbnail(image.content() if image.content is not None else read_image_bytes(image.path))
    except (LiftedError, OSError):  # the file has changed since it was embedded; the page shows no picture
        return None
