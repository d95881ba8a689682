"""`lifted inspect`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from serve_cli.cli.shared_options import Json

Subject = Annotated[
    Path,
    typer.Argument(metavar="PATH", help="Describe this ONNX model, run of `lifted train` or folder of `lifted embed`."),
]


def inspect(path: Subject, as_json: Json = False) -> None:
    """Show the preprocessing, dimension, origin and files of a model, a run or a folder of embeddings.

    [bold]Examples[/bold]

      lifted inspect model.onnx

      lifted inspect embeddings --json
    """
    from serve_cli.cli.console import print_facts, print_json
    from serve_cli.inspection import inspect_path

    inspection = inspect_path(path)
    if as_json:
        print_json(inspection.as_dict())
    else:
        print_facts(inspection.facts())
