"""An HTML page of queries and the images that they return, drawn as reports draw neighbors."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from serve_cli.report.html import BASE_STYLE, content_security_policy, page_environment, template_text

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from serve_cli.report.pictures import Thumbnail
    from serve_cli.retrieval.search.matches import Matches

PACKAGE = "serve_cli.retrieval.search"
GENERATOR = "gluon-lifted search"


@dataclass(frozen=True)
class Heading:
    """Text around the results.

    Parameters
    ----------
    title : str
        Name of the index.
    rows : int
        Number of images that were searched.
    where : str or None
        The condition.
    distance, generated, command : str
        Distance that ranked the images, and time and command of the page.
    about, versions : mapping of str
        Facts about index and model, and versions of packages.
    not_shown : sequence of str
        Why pictures are missing.
    """

    title: str
    rows: int
    where: str | None
    distance: str
    generated: str
    command: str
    about: Mapping[str, str]
    versions: Mapping[str, str]
    not_shown: Sequence[str] = ()


class Neighbor(NamedTuple):
    """An image that was returned: key of its picture, names, columns as text, and whether its label is right."""

    key: int
    distance: float
    id: str
    label: str | None
    columns: dict[str, str]
    mark: str  # "right", "wrong", or "plain" where a label is not known


class Line(NamedTuple):
    """A query and its neighbors, nearest first."""

    key: int
    name: str
    label: str | None
    error: str | None
    neighbors: tuple[Neighbor, ...]


def query_key(number: int) -> int:
    """Return the key of a query's picture. Keys of rows are their numbers, 0 or more."""
    return -1 - number


def page_lines(results: Sequence[Matches]) -> tuple[Line, ...]:
    """Return the lines of a page."""
    return tuple(_line(number, matches) for number, matches in enumerate(results))


def render(heading: Heading, lines: Sequence[Line], thumbnails: Mapping[int, Thumbnail]) -> bytes:
    """Render the page as UTF-8. Raises `MissingPackageError` without Jinja2."""
    css = template_text(BASE_STYLE) + template_text("style.css") + template_text("matches.css", PACKAGE)
    text: str = (
        page_environment(PACKAGE)
        .get_template("matches.html.j2")
        .render(
            generator=GENERATOR,
            policy=content_security_policy(css),
            css=css,
            heading=heading,
            lines=lines,
            thumbnails=thumbnails,
            marked=any(neighbor.mark != "plain" for line in lines for neighbor in line.neighbors),
        )
    )
    return text.encode("utf-8", "backslashreplace")


def _line(number: int, matches: Matches) -> Line:
    query = matches.query
    neighbors = tuple(
        Neighbor(
            int(row),
            match.distance,
            match.id,
            match.label,
            {name: _text(value) for name, value in match.columns.items()},
            _mark(query.label, match.label),
        )
        for row, match in zip(matches.rows, matches, strict=True)
    )
    return Line(query_key(number), query.file_name, query.label, query.error, neighbors)


def _mark(expected: str | None, label: str | None) -> str:
    if expected is None or label is None:
        return "plain"
    return "right" if expected == label else "wrong"


def _text(value: Any) -> str:
    return "\N{EN DASH}" if value is None else f"{value!s:.200}"
