"""Render analysis and pictures as one self-contained HTML page.

Labels, paths and cards are not trusted: the templates escape them, data for the script contains no ``<``, and the
page's policy allows only our script, identified by its hash.
"""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from gluon_lifted.metrics.retrieval import NEVER
from serve_cli.evaluate.metrics import RECALL_MEANING, recall_name
from serve_cli.report.charts import Line, distance_chart, recall_chart
from serve_cli.report.html import BASE_STYLE, content_security_policy, page_environment, template_text
from serve_cli.report.page_images import PageImages

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from gluon_lifted.metrics.bootstrap import Estimate
    from serve_cli.report.analysis import Analysis
    from serve_cli.report.pictures import Sheet, Thumbnail

GENERATOR = "gluon-lifted report"
FIRST_CLASSES, FIRST_PAIRS = 10, 6  # lines of the table, and pairs of each kind, that are shown at first
FOLD, SCRIPTS = "fold.js", ("images.js", "viewer.js", "map.js", "map_filter.js")
UNKNOWN, MINUS = "\N{EN DASH}", "\N{MINUS SIGN}"
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
        Row -> picture. Other rows get an empty frame.
    sheet : Sheet
        A cell for each row on the map.

    Raises
    ------
    MissingPackageError
        If Jinja2 is not installed.
    """
    css = "".join(map(template_text, (BASE_STYLE, "style.css", "report.css")))
    fold, script = template_text(FOLD), "".join(map(template_text, SCRIPTS))
    environment = page_environment()
    environment.filters |= {
        "percent": _percent,
        "points": _points,
        "bounds": _bounds,
        "recall_name": recall_name,
    }
    page = environment.get_template("page.html.j2")
    text: str = page.render(
        generator=GENERATOR,
        policy=content_security_policy(css, fold, script),
        css=css,
        fold=fold,
        script=script,
        heading=heading,
        analysis=analysis,
        embeddings=analysis.embeddings,
        thumbnails=thumbnails,
        recall_meaning=RECALL_MEANING,
        sheet=sheet,
        images_json=safe_json(image_data(analysis, sheet)),
        charts={
            "recall": recall_chart(analysis.summary.curve, analysis.summary.recall, _lines(analysis)),
            "distances": distance_chart(analysis.pairs),
        },
        card=_card_tables(analysis),
        first_classes=FIRST_CLASSES,
        first_pairs=FIRST_PAIRS,
    )
    return text.encode("utf-8", "backslashreplace")


def image_data(analysis: Analysis, sheet: Sheet) -> dict[str, Any]:
    """Return the data for the script: each image with its nearest neighbors on the page, and its place on the map."""
    embeddings, shown, comparison = analysis.embeddings, analysis.map, analysis.comparison
    images = PageImages.of(shown.rows, analysis.rows_outside_map())
    models = [(embeddings, analysis.first_rank)]
    if comparison is not None:
        models.append((comparison.other, comparison.scores.first_rank))
    nearest = [images.nearest(model.embedding) for model, _ in models]
    class_ids = sorted({int(embeddings.labels[row]) for row in images.rows})
    index = {class_id: index for index, class_id in enumerate(class_ids)}
    names = [embeddings.class_names[class_id] for class_id in class_ids]
    return {
        "classes": names,
        "trained": [name in analysis.trained.names for name in names] if analysis.trained else [],
        "models": [model.name for model, _ in models],
        "total": len(embeddings),
        "steps": STEPS,
        "map": [
            [*(round(float(coordinate) * STEPS) for coordinate in position), *cell]
            for position, cell in zip(shown.positions, sheet.cells, strict=True)
        ],
        "images": [
            [
                int(row),
                index[int(embeddings.labels[row])],
                embeddings.ids[row],
                [0 if first_rank[row] == NEVER else int(first_rank[row]) for _, first_rank in models],
                [[places[number].tolist(), _short(distances[number])] for places, distances in nearest],
            ]
            for number, row in enumerate(images.rows)
        ],
    }


def _short(distances: NDArray[np.float64]) -> list[float]:
    return [float(f"{distance:.3g}") for distance in distances]


def _lines(analysis: Analysis) -> list[Line]:
    """Return the lines of the recall chart beside that of the model."""
    lines = [Line(baseline.kind, baseline.name, baseline.recall) for baseline in analysis.context.baselines.lines]
    if analysis.comparison is not None:
        curve = {point.k: point.recall for point in analysis.comparison.summary.curve}
        lines.append(Line("other", "the other model", curve))
    return lines


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


def _points(difference: float, digits: int = 1) -> str:
    """Write a difference of shares in percentage points, with its sign."""
    return UNKNOWN if math.isnan(difference) else f"{100 * difference:+.{digits}f}".replace("-", MINUS)


def _bounds(estimate: Estimate, *, signed: bool = False) -> str:
    """Write the bounds of an interval in percent, or an empty string if they are unknown."""
    if math.isnan(estimate.low):
        return ""
    low, high = (f"{100 * bound:{'+' if signed else ''}.1f}" for bound in (estimate.low, estimate.high))
    return f"{low} to {high}".replace("-", MINUS)
