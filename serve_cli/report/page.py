"""Findings and pictures -> one HTML page that needs nothing else.

Labels, paths and cards come from elsewhere: the template escapes them all, data for the script has no ``<``, and the
page's own policy lets nothing run but our script, known by its hash.
"""

from __future__ import annotations

import base64
import hashlib
import json
import math
from dataclasses import asdict, dataclass
from importlib import resources
from typing import TYPE_CHECKING, Any

from gluon_lifted.errors import MissingPackageError
from serve_cli.report.charts import distance_chart, recall_chart

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from serve_cli.report.analysis import Findings
    from serve_cli.report.pictures import Sheet, Tile

PACKAGE = "serve_cli.report"
GENERATOR = "gluon-lifted report"
FIRST_CLASSES = 30  # lines of the table that are seen at once
UNKNOWN = "\N{EN DASH}"
PLACES = 10_000  # steps of the map's coordinates
UNSAFE = {ord(letter): f"\\u{ord(letter):04x}" for letter in "<>&\u2028\u2029"}


@dataclass(frozen=True)
class Heading:
    """What stands around the findings: the title, when and how the report was made, of what, and what is missing."""

    title: str
    generated: str
    command: str
    versions: Mapping[str, str]
    about: Mapping[str, str]
    not_shown: Sequence[str] = ()


def render(heading: Heading, findings: Findings, tiles: Mapping[int, Tile], sheet: Sheet) -> bytes:
    """The page as UTF-8.

    Parameters
    ----------
    heading : Heading
    findings : Findings
        The sheet has as many cells as its map has rows.
    tiles : mapping
        Row -> picture; a row without one is shown as an empty frame.
    sheet : Sheet

    Raises
    ------
    MissingPackageError
        If Jinja2 is not installed.
    """
    css, script = _own("style.css"), _own("map.js")
    page = _environment().get_template("page.html.j2")
    text: str = page.render(
        generator=GENERATOR,
        policy="; ".join(
            (
                "default-src 'none'",
                "img-src data:",
                f"style-src '{_hash(css)}'",
                f"script-src '{_hash(script)}'",
                "base-uri 'none'",
                "form-action 'none'",
            )
        ),
        css=css,
        script=script,
        heading=heading,
        found=findings,
        rows=findings.rows,
        tiles=tiles,
        sheet=sheet,
        map_json=safe_json(map_data(findings, sheet)),
        charts={
            "recall": recall_chart(findings.summary.curve, findings.summary.recall),
            "distances": distance_chart(findings.pairs),
        },
        card=_card_tables(findings),
        first_classes=FIRST_CLASSES,
    )
    return text.encode("utf-8", "backslashreplace")


def map_data(findings: Findings, sheet: Sheet) -> dict[str, Any]:
    """What the map's script draws: for each image its place, its cell, its class and its name."""
    rows, shown = findings.rows, findings.map
    classes = sorted({int(rows.classes[row]) for row in shown.rows})
    number = {found: position for position, found in enumerate(classes)}
    return {
        "classes": [rows.names[found] for found in classes],
        "images": [
            [
                *(round(float(place) * PLACES) for place in shown.places[position]),
                *cell,
                number[int(rows.classes[row])],
                rows.ids[row],
            ]
            for position, (row, cell) in enumerate(zip(shown.rows, sheet.cells, strict=True))
        ],
        "places": PLACES,
    }


def safe_json(value: object) -> str:
    r"""JSON that can stand inside ``<script>``: what could end it, or a line of it, is written as ``\u003c``."""
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False).translate(UNSAFE)


def _card_tables(findings: Findings) -> dict[str, dict[str, str]]:
    """The model card as text: its own lines under ``Model card``, and those of each of its parts."""
    tables: dict[str, dict[str, str]] = {"Model card": {}}
    for name, value in asdict(findings.rows.card).items():
        if isinstance(value, dict):
            tables[name.capitalize()] = {part: _text(inner) for part, inner in value.items()}
        else:
            tables["Model card"][name.replace("_", " ")] = _text(value)
    return tables


def _text(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, tuple | list):
        return ", ".join(map(_text, value))
    return str(value)


def _own(name: str) -> str:
    return resources.files(PACKAGE).joinpath("templates", name).read_text(encoding="utf-8")


def _hash(text: str) -> str:
    """As a content security policy names an inline block."""
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def require_jinja() -> Any:
    """Jinja2. Raises `MissingPackageError` if it is not installed."""
    try:
        import jinja2
    except ModuleNotFoundError as error:
        if error.name != "jinja2":
            raise
        raise MissingPackageError(
            "Jinja2 is not installed; a report needs it: pip install 'gluon-lifted[report]'."
        ) from None
    return jinja2


def _environment() -> Any:
    jinja2 = require_jinja()
    environment = jinja2.Environment(
        autoescape=True,
        loader=jinja2.PackageLoader(PACKAGE),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"percent": _percent, "tail": _tail}
    return environment


def _tail(name: str, length: int = 32) -> str:
    """The end of a path, which tells more than its beginning: its last parts, as many as fit."""
    if len(name) <= length:
        return name
    start = name.find("/", -length)
    return "…" + name[start if start >= 0 else -length :]


def _percent(share: float, digits: int = 1) -> str:
    return UNKNOWN if math.isnan(share) else f"{100 * share:.{digits}f} %"
