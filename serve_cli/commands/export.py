"""`lifted export`: a run folder to a verified ONNX file."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from serve_cli.console import print_facts, print_json, say
from serve_cli.options import Json


def export(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="Run folder that `lifted train` wrote.")],
    onnx: Annotated[Path, typer.Option(help="File to write.")],
    opset: Annotated[int, typer.Option(help="ONNX operator set, 13 or newer.")] = 17,
    tolerance: Annotated[
        float,
        typer.Option(help="Largest difference from MXNet's embeddings, relative to their largest if that is > 1."),
    ] = 1e-4,
    as_json: Json = False,
) -> None:
    """Translate a trained network to ONNX and prove that it gives MXNet's embeddings. MXNet is not needed.

    The file is put in place when it has passed ONNX's checker, strict shape inference and parity at several batches.

    [bold]Example[/bold]

      lifted export runs/mine --onnx model.onnx
    """
    from export import export_run

    say(f"export: {run} to {onnx}")
    report = export_run(run, onnx, opset=opset, tolerance=tolerance)
    if as_json:
        print_json(asdict(report))
        return
    print_facts(
        {
            "model": f"{report.path}, {report.size_bytes / 1e6:.1f} MB, opset {report.opset}",
            "graph": f"{report.num_nodes} nodes, {report.num_parameters:,} parameters",
            "parity": f"max |d| {report.parity.max_abs_error:.1e}, least cosine {report.parity.min_cosine:.7f}, "
            f"at batch sizes {', '.join(map(str, report.parity.batch_sizes))}",
            "time": f"{report.seconds:.1f} s",
            "next": f"lifted embed {report.path} PHOTOS --out embeddings",
        }
    )
