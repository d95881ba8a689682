"""`lifted inspect`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from serve_cli.cli.shared_options import Json


def inspect(
    path: Annotated[
        Path,
        typer.Argument(metavar="PATH", help="A model.onnx, a run of `lifted train`, or a folder of `lifted embed`."),
    ],
    as_json: Json = False,
) -> None:
    """Show what a model, a run or a folder of embeddings is: its preprocessing, width, origin and files.

    [bold]Examples[/bold]

      lifted inspect model.onnx

      lifted inspect embeddings --json
    """
    from serve_cli.cli.console import print_facts, print_json
    from serve_cli.inspection import inspect_path

    found = inspect_path(path)
    if as_json:
        print_json(found.as_dict())
    else:
        print_facts(found.facts())
