"""Print the plan of `lifted index --plan ROWS`."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from serve_cli.choices import Dtype


def print_plan(rows: int, dim: int, dtype: Dtype, memory: int, *, as_json: bool) -> None:
    """Print what a catalog of ``rows`` rows needs, as tables or as JSON. Raises `ConfigError`; see `plan`."""
    from serve_cli.cli.console import print_facts, print_json, print_table
    from serve_cli.retrieval.sizing.plan import plan
    from serve_cli.retrieval.sizing.tables import facts, tables

    sizing = plan(rows, dim, dtype, memory)
    if as_json:
        print_json(asdict(sizing))
        return
    print_facts(facts(sizing))
    for table in tables(sizing):
        print_table(table.columns, table.rows, left=table.left)
