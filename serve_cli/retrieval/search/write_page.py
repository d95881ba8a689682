"""Write the page of `lifted search --html` within the size of a page."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import TYPE_CHECKING

from gluon_lifted.errors import ConfigError
from serve_cli.provenance import versions
from serve_cli.report.html import require_jinja
from serve_cli.report.page_file import check_page, write_page
from serve_cli.report.pictures import DETAILS, make_thumbnails
from serve_cli.report.report_options import MB
from serve_cli.retrieval.search.page import GENERATOR, Heading, page_lines, render
from serve_cli.retrieval.search.page_pictures import PictureAccess, read_page_pictures

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from serve_cli.report.report_options import NotShown
    from serve_cli.retrieval.index.catalog import CatalogIndex
    from serve_cli.retrieval.search.matches import Matches
    from serve_cli.retrieval.search.search_options import SearchOptions

MAX_PICTURES = 5000
MAX_BYTES = 16 * MB
OPTION = "--html"


@dataclass(frozen=True, kw_only=True)
class PageOptions:
    """Options of the page.

    Parameters
    ----------
    out : Path
        The HTML file.
    access : PictureAccess
        Which pictures it may read.
    command : str
        Command that made the page, shown on it.
    overwrite : bool
        Replace a file even if it is not a page of a search.
    """

    out: Path
    access: PictureAccess = field(default_factory=PictureAccess)
    command: str = ""
    overwrite: bool = False


@dataclass(frozen=True)
class WrittenPage:
    """What was written: the file, its size, its pictures, and why others are missing."""

    out: Path
    bytes: int
    pictures: int
    not_shown: tuple[NotShown, ...]


def check_search_page(options: PageOptions) -> None:
    """Raise before a search if its page cannot be written, or would replace another file."""
    require_jinja()
    check_page(options.out, GENERATOR, "page of a search", OPTION, overwrite=options.overwrite)


def write_search_page(
    index: CatalogIndex, results: Sequence[Matches], search: SearchOptions, rows: int, options: PageOptions
) -> WrittenPage:
    """Write queries and the images that they return as one self-contained page.

    Parameters
    ----------
    index : CatalogIndex
        The index that was searched.
    results : sequence of Matches
        One per query.
    search : SearchOptions
        Its condition is shown.
    rows : int
        Number of rows that met the condition.
    options : PageOptions
        File, pictures and command.

    Raises
    ------
    ConfigError
        If there are too many pictures, or a root is not a folder.
    RunError
        If the page cannot be written.
    """
    lines = page_lines(results)
    count = len({neighbor.key for line in lines for neighbor in line.neighbors}) + len(lines)
    if count > MAX_PICTURES:
        raise ConfigError(
            f"the page would have {count:,} pictures; expected at most {MAX_PICTURES:,}: search with fewer photographs "
            "or a smaller -k, or use --jsonl."
        )
    read = read_page_pictures(index, results, options.access)
    heading = Heading(
        title=index.path.resolve().name,
        rows=rows,
        where=search.where,
        distance=index.distance,
        generated=datetime.now(timezone.utc).strftime("%Y-%m-%d %H:%M UTC"),
        command=options.command,
        about={"index": str(index.path), "model": f"{index.card.name} ({index.model or 'file unknown'})"},
        versions=versions(),
        not_shown=tuple(map(str, read.not_shown)),
    )
    for detail in DETAILS:
        thumbnails = make_thumbnails(read.pictures, detail.thumbnail_side, detail.thumbnail_quality)
        page = render(heading, lines, thumbnails)
        if len(page) <= MAX_BYTES:
            break
    else:
        raise ConfigError(
            f"the page has {len(page) / MB:.1f} MB even with the smallest pictures; expected at most "
            f"{MAX_BYTES / MB:.0f}: search with fewer photographs or a smaller -k."
        )
    write_page(options.out, page, OPTION)
    return WrittenPage(options.out, len(page), len(read.pictures), read.not_shown)
