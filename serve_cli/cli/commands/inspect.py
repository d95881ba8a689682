"""`lifted inspect`: describe a model, a run, embeddings, an index or an MXNet network."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from serve_cli.cli.shared_options import Json

Subject = Annotated[
    Path,
    typer.Argument(
        metavar="PATH",
        help="Describe this ONNX model, run of `lifted train`, folder of `lifted embed`, index of `lifted index`, or "
        "-symbol.json of MXNet.",
    ),
]
Params = Annotated[
    Path | None,
    typer.Option("--params", metavar="FILE", help="Read the MXNet network's parameters from this .params file."),
]


def inspect(path: Subject, params: Params = None, as_json: Json = False) -> None:
    """Describe a model, a run, embeddings, an index or an MXNet network.

    Show the preprocessing, the dimension, the origin and the files.

    For the -symbol.json of an MXNet network, show its inputs, outputs and
    operators, the operators that cannot be exported, and the `lifted export`
    command to try. The embedding and the preprocessing are guesses. The command
    does not need MXNet.

    [bold]Examples[/bold]

      lifted inspect model.onnx

      lifted inspect embeddings --json

      lifted inspect catalog.index

      lifted inspect r50-symbol.json --params r50-0000.params
    """
    from serve_cli.cli.console import print_facts, print_json
    from serve_cli.inspection import inspect_path

    inspection = inspect_path(path, params)
    if as_json:
        print_json(inspection.as_dict())
    else:
        print_facts(inspection.facts())
