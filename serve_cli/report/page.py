"""Render analysis and pictures as one self-contained HTML page.

Labels, paths and cards are not trusted: the templates escape them, data for the script contains no ``<``, and the
page's policy allows only our script, identified by its hash.
"""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from serve_cli.evaluate.metrics import RECALL_MEANING, recall_name
from serve_cli.report.charts import distance_chart, recall_chart
from serve_cli.report.html import BASE_STYLE, content_security_policy, page_environment, template_text

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from serve_cli.report.analysis import Analysis
    from serve_cli.report.pictures import Sheet, Thumbnail

GENERATOR = "gluon-lifted report"
FIRST_CLASSES = 30  # lines of the table that are shown at first
UNKNOWN = "\N{EN DASH}"
STEPS = 10_000  # of the map's coordinates, which are integers
UNSAFE = {ord(letter): f"\\u{ord(letter):04x}" for letter in "<>&\u2028\u2029"}


@dataclass(frozen=True)
class Heading:
    """Text around the analysis: title, time, command, versions, source, and what is not shown."""

    title: str
    generated: str
    command: str
    versions: Mapping[str, str]
    about: Mapping[str, str]
    failed: int = 0
    not_shown: Sequence[str] = ()


def render(heading: Heading, analysis: Analysis, thumbnails: Mapping[int, Thumbnail], sheet: Sheet) -> bytes:
    """Render the page as UTF-8.

    Parameters
    ----------
    heading : Heading
        Text around the analysis.
    analysis : Analysis
        Everything else that the page shows.
    thumbnails : mapping of int to Thumbnail
        Row -> picture; other rows get an empty frame.
    sheet : Sheet
        A cell for each row of the map.

    Raises
    ------
    MissingPackageError
        If Jinja2 is not installed.
    """
    css, script = template_text(BASE_STYLE) + template_text("style.css"), template_text("map.js")
    environment = page_environment()
    environment.filters |= {"percent": _percent, "recall_name": recall_name}
    page = environment.get_template("page.html.j2")
    text: str = page.render(
        generator=GENERATOR,
        policy=content_security_policy(css, script),
        css=css,
        script=script,
        heading=heading,
        analysis=analysis,
        embeddings=analysis.embeddings,
        thumbnails=thumbnails,
        recall_meaning=RECALL_MEANING,
        sheet=sheet,
        map_json=safe_json(map_data(analysis, sheet)),
        charts={
            "recall": recall_chart(analysis.summary.curve, analysis.summary.recall),
            "distances": distance_chart(analysis.pairs),
        },
        card=_card_tables(analysis),
        first_classes=FIRST_CLASSES,
    )
    return text.encode("utf-8", "backslashreplace")


def map_data(analysis: Analysis, sheet: Sheet) -> dict[str, Any]:
    """Return the data for the map's script: position, cell, class and id of each image."""
    embeddings, shown = analysis.embeddings, analysis.map
    class_ids = sorted({int(embeddings.labels[row]) for row in shown.rows})
    index = {class_id: index for index, class_id in enumerate(class_ids)}
    return {
        "classes": [embeddings.class_names[class_id] for class_id in class_ids],
        "images": [
            [
                *(round(float(coordinate) * STEPS) for coordinate in shown.positions[number]),
                *cell,
                index[int(embeddings.labels[row])],
                embeddings.ids[row],
            ]
            for number, (row, cell) in enumerate(zip(shown.rows, sheet.cells, strict=True))
        ],
        "steps": STEPS,
    }


def safe_json(value: object) -> str:
    r"""Write JSON for use inside ``<script>``; characters that could end the script or a line become ``\u003c``."""
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False).translate(UNSAFE)


def _card_tables(analysis: Analysis) -> dict[str, dict[str, str]]:
    """Return the model card as tables of text: ``Model card`` for its own fields, and one for each nested part."""
    tables: dict[str, dict[str, str]] = {"Model card": {}}
    for name, value in asdict(analysis.embeddings.card).items():
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


def _percent(share: float, digits: int = 1) -> str:
    return UNKNOWN if math.isnan(share) else f"{100 * share:.{digits}f} %"
