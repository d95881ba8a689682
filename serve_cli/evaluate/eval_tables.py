"""Format the report of `lifted eval` as tables for a terminal, as Markdown or as CSV."""

from __future__ import annotations

import csv
import io
import math
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping

    from gluon_lifted.metrics.bootstrap import Estimate
    from serve_cli.evaluate.eval_report import EvalReport

UNVERIFIED = "*"


class Table(NamedTuple):
    """Column headings and rows. The first column holds text."""

    columns: list[str]
    rows: list[list[str]]


def result_tables(report: EvalReport) -> list[Table]:
    """Make a table of metrics in percent with intervals, and for several sources one of differences."""
    names = [f"{result.name} ({result.dim})" for result in report.results]
    tables = [_side_by_side("metric, %", names, [result.metrics for result in report.results], sign="")]
    if report.differences:
        names = [f"{difference.name} - {difference.than}" for difference in report.differences]
        tables.append(
            _side_by_side("difference, points", names, [difference.metrics for difference in report.differences], "+")
        )
    return tables


def _side_by_side(head: str, names: list[str], columns: list[Mapping[str, Estimate]], sign: str) -> Table:
    metrics = list(dict.fromkeys(metric for column in columns for metric in column))
    rows = [[metric, *(_cell(column.get(metric), sign) for column in columns)] for metric in metrics]
    return Table([head, *names], rows)


def _cell(estimate: Estimate | None, sign: str) -> str:
    if estimate is None or math.isnan(estimate.value):
        return "-"
    text = _percent(estimate.value, sign, 2)
    if math.isnan(estimate.low):
        return text
    low, high = (
        _percent(end, sign, 2 if sign else 1) for end in (estimate.low, estimate.high)
    )  # differences are small
    return f"{text}  [{low}, {high}]"


def _percent(share: float, sign: str, digits: int) -> str:
    return f"{round(100 * share, digits) + 0.0:{sign}.{digits}f}"  # + 0.0: no -0.00


def published_table(report: EvalReport) -> Table:
    """Make a table of measured and published metrics in percent. `*` marks values not verified in their source."""
    metrics = list(dict.fromkeys(metric for row in report.published for metric in row.metrics))
    rows = []
    for result in report.results:
        values = [_cell(_point(result.metrics.get(metric)), "") for metric in metrics]
        rows.append([f"{result.name}, measured here", "", str(result.dim), *values])
    sources = list(dict.fromkeys(row.source for row in report.published))
    for row in report.published:
        values = [
            f"{row.metrics[metric]:.2f}{UNVERIFIED * (metric in row.unverified)}" if metric in row.metrics else "-"
            for metric in metrics
        ]
        method = f"{row.method} [{1 + sources.index(row.source)}]"
        rows.append([method, row.network, str(row.dim or ""), *values])
    return Table(["published, %", "network", "dim", *metrics], rows)


def _point(estimate: Estimate | None) -> Estimate | None:
    return None if estimate is None else replace(estimate, low=math.nan, high=math.nan)


def footnotes(report: EvalReport) -> dict[str, str]:
    """Return the explanations of the numbers and marks in `published_table`."""
    if not report.published:
        return {}
    sources = dict.fromkeys(row.source for row in report.published)
    notes = {f"[{number}]": source for number, source in enumerate(sources, start=1)}
    if any(row.unverified for row in report.published):
        notes[UNVERIFIED] = "quoted by others; not verified in its source"
    return notes


def to_markdown(report: EvalReport) -> str:
    """Format all tables, then the facts about the results."""
    tables = [*result_tables(report), *([published_table(report)] if report.published else [])]
    notes = report.facts() | footnotes(report)
    return "\n".join([*(_markdown(table) for table in tables), *(f"- {name}: {text}" for name, text in notes.items())])


def _markdown(table: Table) -> str:
    lines = [table.columns, ["---", *("---:" for _ in table.columns[1:])], *table.rows]
    return "".join(f"| {' | '.join(_escaped(cell) for cell in line)} |\n" for line in lines)


def _escaped(cell: str) -> str:
    return "".join(f"\\{letter}" if letter in r"\`*_[]<>|" else letter for letter in cell)


CSV_HEADS = (
    "kind embedding network dim than metric value low high queries classes gallery distance source verified".split()
)


def to_csv(report: EvalReport) -> str:
    """Format one line per number. All values and ends of intervals, including published ones, are in [0, 1]."""
    text = io.StringIO()
    writer = csv.DictWriter(text, CSV_HEADS, restval="", lineterminator="\n")
    writer.writeheader()
    for result in report.results:
        about = {"kind": "measured", "embedding": result.name, "dim": result.dim, "queries": result.queries}
        about |= {"classes": result.classes, "gallery": result.gallery, "distance": report.distance}
        writer.writerows(about | line for line in _lines(result.metrics))
    for difference in report.differences:
        about = {"kind": "difference", "embedding": difference.name, "than": difference.than}
        about |= {"distance": report.distance}
        writer.writerows(about | line for line in _lines(difference.metrics))
    for row in report.published:
        about = {"kind": "published", "embedding": row.method, "network": row.network, "dim": row.dim or ""}
        for metric, value in row.metrics.items():
            known = {"source": row.source, "verified": metric not in row.unverified}
            writer.writerow(about | known | {"metric": metric, "value": round(value / 100, 6)})
    return text.getvalue()


def _lines(metrics: Mapping[str, Estimate]) -> list[dict[str, object]]:
    return [
        {"metric": metric} | {end: number for end, number in asdict(estimate).items() if not math.isnan(number)}
        for metric, estimate in metrics.items()
    ]
