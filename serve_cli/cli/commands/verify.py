"""`lifted verify`: an ONNX file against what MXNet computed."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from serve_cli.cli.console import print_facts, print_json
from serve_cli.cli.shared_options import Json, Tolerance

OnnxFile = Annotated[Path, typer.Argument(metavar="MODEL.onnx", help="Verify this file.")]
Reference = Annotated[
    Path,
    typer.Argument(
        metavar="RUN|REFERENCE.npz",
        help="Compare with this run folder, or with this file of images and MXNet's outputs for them.",
    ),
]


def verify(
    model: OnnxFile,
    reference: Reference,
    tolerance: Tolerance = None,
    as_json: Json = False,
) -> None:
    """Compare an ONNX model with MXNet's own outputs, at several batch sizes. MXNet is not needed.

    If they differ, the first node with another value is named, and the exit
    status is 1.

    [bold]Examples[/bold]

      lifted verify model.onnx runs/mine

      lifted verify net.onnx reference.npz --tolerance 1e-5
    """
    from export import verify_file

    parity = verify_file(model, reference, tolerance)
    if as_json:
        print_json(asdict(parity))
        return
    print_facts(
        {
            "model": f"{model} computes what MXNet did",
            "error": f"max |d| {parity.max_abs_error:.1e}, mean |d| {parity.mean_abs_error:.1e}",
            "cosine": f"least {parity.min_cosine:.7f}",
            "batches": f"of {', '.join(map(str, parity.batch_sizes))} images, in {parity.engine}",
        }
    )
