"""The report of `lifted eval` as tables: for a terminal, as Markdown, as CSV."""

from __future__ import annotations

import csv
import io
import math
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping

    from gluon_lifted.metrics.bootstrap import Estimate
    from serve_cli.runtime.evaluation.report import EvalReport

UNVERIFIED = "*"


class Table(NamedTuple):
    """Heads and rows; the first column holds text."""

    columns: list[str]
    rows: list[list[str]]


def result_tables(report: EvalReport) -> list[Table]:
    """Metrics in percent with intervals, a line each; then, if others are there, how much they differ."""
    names = [f"{result.name} ({result.dim})" for result in report.results]
    tables = [_side_by_side("metric, %", names, [result.metrics for result in report.results], sign="")]
    if report.differences:
        names = [f"{one.name} - {one.than}" for one in report.differences]
        tables.append(_side_by_side("difference, points", names, [one.metrics for one in report.differences], "+"))
    return tables


def _side_by_side(head: str, names: list[str], columns: list[Mapping[str, Estimate]], sign: str) -> Table:
    metrics = list(dict.fromkeys(metric for column in columns for metric in column))
    rows = [[metric, *(_cell(column.get(metric), sign) for column in columns)] for metric in metrics]
    return Table([head, *names], rows)


def _cell(estimate: Estimate | None, sign: str) -> str:
    if estimate is None or math.isnan(estimate.value):
        return "-"
    text = f"{100 * estimate.value:{sign}.2f}"
    if math.isnan(estimate.low):
        return text
    digits = 2 if sign else 1  # differences are small
    return f"{text}  [{100 * estimate.low:{sign}.{digits}f}, {100 * estimate.high:{sign}.{digits}f}]"


def published_table(report: EvalReport) -> Table:
    """What others published, under what was measured here; in percent, `*` where no source could be looked up."""
    metrics = list(dict.fromkeys(metric for row in report.published for metric in row.metrics))
    rows = []
    for result in report.results:
        values = [_cell(_point(result.metrics.get(metric)), "") for metric in metrics]
        rows.append([f"{result.name}, measured here", "", str(result.dim), *values, ""])
    sources = list(dict.fromkeys(row.source for row in report.published))
    for row in report.published:
        values = [
            f"{row.metrics[metric]:.2f}{UNVERIFIED * (metric in row.unverified)}" if metric in row.metrics else "-"
            for metric in metrics
        ]
        rows.append([row.method, row.network, str(row.dim or ""), *values, f"[{1 + sources.index(row.source)}]"])
    return Table(["published, %", "network", "dim", *metrics, "source"], rows)


def _point(estimate: Estimate | None) -> Estimate | None:
    return None if estimate is None else replace(estimate, low=math.nan, high=math.nan)


def footnotes(report: EvalReport) -> dict[str, str]:
    """What the numbers and marks of `published_table` stand for."""
    if not report.published:
        return {}
    sources = dict.fromkeys(row.source for row in report.published)
    notes = {f"[{number}]": source for number, source in enumerate(sources, start=1)}
    if any(row.unverified for row in report.published):
        notes[UNVERIFIED] = "quoted by others; not looked up in its source"
    return notes


def to_markdown(report: EvalReport) -> str:
    """All tables, then what the figures are of."""
    tables = [*result_tables(report), *([published_table(report)] if report.published else [])]
    notes = report.facts() | footnotes(report)
    return "\n".join([*(_markdown(table) for table in tables), *(f"- {name}: {text}" for name, text in notes.items())])


def _markdown(table: Table) -> str:
    lines = [table.columns, ["---", *("---:" for _ in table.columns[1:])], *table.rows]
    return "".join(f"| {' | '.join(_escaped(cell) for cell in line)} |\n" for line in lines)


def _escaped(cell: str) -> str:
    return "".join(f"\\{letter}" if letter in r"\`*_[]<>|" else letter for letter in cell)


def to_csv(report: EvalReport) -> str:
    """A line for each number: kind, embedding, compared with, metric, share of 1 and the ends of its interval."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["kind", "embedding", "than", "metric", "value", "low", "high", "source", "verified"])
    for result in report.results:
        writer.writerows(_lines("measured", result.name, "", result.metrics))
    for one in report.differences:
        writer.writerows(_lines("difference", one.name, one.than, one.metrics))
    for row in report.published:
        name = f"{row.method}, {row.network}" + (f", {row.dim}" if row.dim else "")
        for metric, value in row.metrics.items():
            share = round(value / 100, 6)
            writer.writerow(["published", name, "", metric, share, "", "", row.source, metric not in row.unverified])
    return text.getvalue()


def _lines(kind: str, name: str, than: str, metrics: Mapping[str, Estimate]) -> list[list[object]]:
    numbers = ((metric, (one.value, one.low, one.high)) for metric, one in metrics.items())
    return [
        [kind, name, than, metric, *("" if math.isnan(number) else number for number in found), "", ""]
        for metric, found in numbers
    ]
