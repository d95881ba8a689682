"""Print the results of `lifted search`: tables, or JSON for other programs."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import typer

from serve_cli.cli.console import print_json, print_table, say
from serve_cli.retrieval.search.as_json import matches_to_json

if TYPE_CHECKING:
    from collections.abc import Iterable

    from serve_cli.retrieval.search.index import SearchTimes
    from serve_cli.retrieval.search.matches import Match, Matches

MAX_CELL = 200  # characters


def print_matches(results: Iterable[Matches], output: str) -> int:
    """Print results as ``"table"``, ``"json"`` or ``"jsonl"``. Return the number of queries with an error.

    Tables and lines are printed as the results arrive.
    """
    failed = 0
    objects = []
    for matches in results:
        failed += say_error(matches)
        if output == "json":
            objects.append(matches_to_json(matches))
        elif output == "jsonl":
            typer.echo(json.dumps(matches_to_json(matches)))
        elif matches.error is None:
            _print_table(matches)
    if output == "json":
        print_json({"queries": objects})
    return failed


def say_error(matches: Matches) -> bool:
    """Print a query's error on stderr, if it has one. Return whether it has."""
    if matches.error is not None:
        say(f"lifted: failed: {shown(matches.query.name)}: {shown(matches.error)}")
    return matches.error is not None


def say_times(times: SearchTimes, rows: int) -> None:
    """Print the seconds of the stages on stderr."""
    say(f"lifted: embedded in {times.embed_s:.2f} s, searched {rows:,} rows in {times.search_s:.3f} s.")


def shown(value: object) -> str:
    """Convert a value to text for a terminal: shortened, and without control characters."""
    if value is None:
        return "-"
    text = f"{value:g}" if isinstance(value, float) else str(value)
    if len(text) > MAX_CELL:
        text = text[: MAX_CELL - 1] + "…"
    return "".join(character if character.isprintable() else "�" for character in text)


def _print_table(matches: Matches) -> None:
    label = matches.query.label
    typer.echo(f"{shown(matches.query.name)}{'' if label is None else f' ({shown(label)})'}")
    if not len(matches):
        typer.echo("  no image meets the conditions\n")
        return
    has_labels = any(name is not None for name in matches.labels)
    rows = [_cells(match, has_labels=has_labels) for match in matches]
    titles = ["rank", "distance", *(["label"] if has_labels else []), "id", *map(shown, matches.columns)]
    print_table(titles, rows, left=len(titles))


def _cells(match: Match, *, has_labels: bool) -> list[str]:
    label = [shown(match.label)] if has_labels else []
    columns = [shown(value) for value in match.columns.values()]
    return [f"{match.rank:>4}", f"{match.distance:>8.4f}", *label, shown(match.id), *columns]
