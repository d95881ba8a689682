"""`lifted verify`: compare an ONNX file with MXNet's outputs."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from gluon_lifted.errors import RunError
from serve_cli.cli.console import print_facts, print_json
from serve_cli.cli.shared_options import Json, Tolerance
from serve_cli.path_kinds import kind_of, may_be_model, wrong_kind

OnnxFile = Annotated[Path, typer.Argument(metavar="MODEL.onnx", help="Verify this file.")]
Reference = Annotated[
    Path,
    typer.Argument(
        metavar="RUN|REFERENCE.npz",
        help="Compare with a run folder of `lifted train`, or a file that `lifted reference` wrote.",
    ),
]


def verify(
    model: OnnxFile,
    reference: Reference,
    tolerance: Tolerance = None,
    as_json: Json = False,
) -> None:
    """Compare an ONNX model with MXNet's recorded outputs.

    The command compares outputs at several batch sizes and does not need MXNet. If
    they differ, the error names the first node that differs, and the exit status
    is 1.

    [bold]Examples[/bold]

      lifted verify model.onnx runs/mine

      lifted verify net.onnx reference.npz --tolerance 1e-5
    """
    if not may_be_model(model):
        raise RunError(wrong_kind(model, "model", other=reference))
    if kind_of(reference) not in ("run", "reference", "file"):
        raise RunError(wrong_kind(reference, "reference"))
    from export import verify_file

    parity = verify_file(model, reference, tolerance)
    if as_json:
        print_json(asdict(parity))
        return
    print_facts(
        {
            "model": f"{model} computes what MXNet computed",
            "error": f"max |d| {parity.max_abs_error:.1e}, mean |d| {parity.mean_abs_error:.1e}",
            "largest": f"{parity.largest:.3g}, of MXNet's values",
            "cosine": f"min {parity.min_cosine:.7f}",
            "batch sizes": f"{', '.join(map(str, parity.batch_sizes))}, in {parity.engine}",
        }
    )
