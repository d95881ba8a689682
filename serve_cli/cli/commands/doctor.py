"""`lifted doctor`."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer

from serve_cli.cli.shared_options import Json

Strict = Annotated[bool, typer.Option("--strict", help="Exit with status 1 if anything is missing.")]


def doctor(
    strict: Strict = False,
    as_json: Json = False,
) -> None:
    """Show what this host can run, and how to install the rest.

    [bold]Examples[/bold]

      lifted doctor

      lifted doctor --strict && lifted train ...
    """
    from serve_cli.cli.console import print_facts, print_json, print_table
    from serve_cli.diagnosis import examine

    diagnosis = examine()
    if as_json:
        print_json(asdict(diagnosis))
    else:
        print_table(diagnosis.columns(), diagnosis.rows(), left=4)
        print_facts(diagnosis.cures())
    if strict and diagnosis.missing:
        raise typer.Exit(1)
