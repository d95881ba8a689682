"""`lifted doctor`."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer

from serve_cli.cli.shared_options import Json


def doctor(
    strict: Annotated[bool, typer.Option("--strict", help="Exit with 1 if anything is missing.")] = False,
    as_json: Json = False,
) -> None:
    """Show what this machine can train and serve with, and how to mend what it cannot.

    [bold]Examples[/bold]

      lifted doctor

      lifted doctor --strict && lifted train ...
    """
    from serve_cli.cli.console import print_facts, print_json, print_table
    from serve_cli.diagnosis import examine

    found = examine()
    if as_json:
        print_json(asdict(found))
    else:
        print_table(found.columns(), found.rows(), left=4)
        print_facts(found.cures())
    if strict and found.missing:
        raise typer.Exit(1)
