"""`lifted export`: a run folder, or a network of MXNet's, to an ONNX file."""

from __future__ import annotations

from dataclasses import asdict
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast

import typer

from serve_cli.cli.console import print_facts, print_json, say
from serve_cli.cli.shared_options import (
    Device,
    Json,
    Tolerance,
    parse_shape,
)

if TYPE_CHECKING:
    from export import ExportReport
    from gluon_lifted.contract import SavedNetwork

ANY_NETWORK = "Any network of MXNet's"
LOWER = "Lower precision, of a RUN"


class Preprocess(str, Enum):
    """Where pixels become the network's input."""

    caller = "caller"
    graph = "graph"


class Precision(str, Enum):
    """Of weights and activations."""

    fp32 = "fp32"
    fp16 = "fp16"
    int8 = "int8"


class Method(str, Enum):
    """How the ranges of activations are found."""

    minmax = "minmax"
    percentile = "percentile"


def export(
    onnx: Annotated[Path, typer.Option(help="File to write.")],
    run: Annotated[Path | None, typer.Argument(metavar="RUN", help="Run folder that `lifted train` wrote.")] = None,
    symbol: Annotated[
        Path | None, typer.Option(help="Its -symbol.json, instead of RUN.", rich_help_panel=ANY_NETWORK)
    ] = None,
    params: Annotated[Path | None, typer.Option(help="Its .params file.", rich_help_panel=ANY_NETWORK)] = None,
    shape: Annotated[
        str, typer.Option(help="Name and shape of its input; any number of images fits.", rich_help_panel=ANY_NETWORK)
    ] = "data:1,3,224,224",
    reference: Annotated[
        Path | None,
        typer.Option(help="An .npz of images and MXNet's outputs for them.", rich_help_panel=ANY_NETWORK),
    ] = None,
    preprocess: Annotated[
        Preprocess, typer.Option(help="Where pixels are normalized: by the caller, or in the graph, from uint8 RGB.")
    ] = Preprocess.caller,
    normalize: Annotated[bool, typer.Option("--normalize", help="Give embeddings unit length in the file.")] = False,
    opset: Annotated[int, typer.Option(help="ONNX operator set, 13 or newer.")] = 17,
    tolerance: Tolerance = None,
    exact_lrn: Annotated[
        bool, typer.Option("--exact-lrn", help="Keep ONNX's LRN operator; its fast form is the default.")
    ] = False,
    precision: Annotated[
        Precision,
        typer.Option(help="fp32, as trained; fp16, for GPUs; int8, for CPUs with VNNI or AMX.", rich_help_panel=LOWER),
    ] = Precision.fp32,
    calibration: Annotated[
        Path | None,
        typer.Option(help="For int8: a folder of images like those to embed; 200 are taken.", rich_help_panel=LOWER),
    ] = None,
    calibration_method: Annotated[
        Method, typer.Option(help="What the range of an activation is.", rich_help_panel=LOWER)
    ] = Method.minmax,
    device: Annotated[
        Device, typer.Option(help="What the model is for, and weighed on beside fp32.", rich_help_panel=LOWER)
    ] = Device.cpu,
    eval_on: Annotated[
        str | None,
        typer.Option("--eval", metavar="DATASET", help="Measure recall@1 beside fp32, on it.", rich_help_panel=LOWER),
    ] = None,
    data: Annotated[Path | None, typer.Option(help="Where that data set lies.", rich_help_panel=LOWER)] = None,
    max_recall_drop: Annotated[
        float, typer.Option(min=0, help="Points of recall@1 that may be lost.", rich_help_panel=LOWER)
    ] = 0.5,
    force: Annotated[
        bool, typer.Option("--force", help="Write a model that is slower or worse all the same.", rich_help_panel=LOWER)
    ] = False,
    as_json: Json = False,
) -> None:
    """Translate a trained network to ONNX and prove that it gives MXNet's embeddings. MXNet is not needed.

    The file is put in place when it has passed ONNX's checker, strict shape inference and parity at several batches.

    [bold]Examples[/bold]

      lifted export runs/mine --onnx model.onnx

      lifted export runs/mine --onnx small.onnx --precision int8 --calibration photos

      lifted export --symbol net-symbol.json --params net-0000.params --shape data:1,3,224,224 --onnx net.onnx
    """
    network = _network(run, symbol, params, shape)
    if network is None and reference is not None:
        raise typer.BadParameter("RUN has a reference of its own; leave out --reference")
    if network is not None and (normalize or preprocess is Preprocess.graph):
        raise typer.BadParameter("--preprocess and --normalize need the model card of a RUN")
    if network is not None and precision is not Precision.fp32:
        raise typer.BadParameter("--precision needs the model card of a RUN")
    from export import ExportOptions, export_network, export_run

    options = ExportOptions(
        opset=opset,
        tolerance=tolerance,
        exact_lrn=exact_lrn,
        precision=precision.value,
        calibration=calibration,
        calibration_method=calibration_method.value,
    )
    say(f"export: {run or symbol} to {onnx}")
    pixels, comparison = preprocess is Preprocess.graph, None
    if network is not None:
        report = export_network(network, parse_shape(shape)[1][1:], onnx, options, reference=reference)
    elif precision is Precision.fp32:
        report = export_run(cast(Path, run), onnx, options, pixels=pixels, normalize=normalize)
    else:
        from serve_cli.compress.compress import AcceptanceCriteria, export_reduced

        criteria = AcceptanceCriteria(
            dataset=eval_on, data=data, max_recall_drop=max_recall_drop, force=force, device=device.value
        )
        report, comparison = export_reduced(
            cast(Path, run), onnx, options, criteria, pixels=pixels, normalize=normalize
        )
    if as_json:
        print_json(asdict(report) | ({"comparison": asdict(comparison)} if comparison else {}))
        return
    served = run is not None and report.parity is not None and report.parity.engine == "onnxruntime"
    next_step = {"next": f"lifted embed {onnx} PHOTOS --out embeddings"} if served else {}
    print_facts(_facts(report, precision) | (comparison.facts() if comparison else {}) | next_step)


def _network(run: Path | None, symbol: Path | None, params: Path | None, shape: str) -> SavedNetwork | None:
    """The network that was named by its files; None for a run."""
    from gluon_lifted.contract import SavedNetwork

    if run is not None and symbol is None and params is None:
        return None
    if run is None and symbol is not None and params is not None:
        return SavedNetwork(symbol, params, parse_shape(shape)[0])
    raise typer.BadParameter("give either RUN, or --symbol and --params")


def _facts(report: ExportReport, precision: Precision) -> dict[str, str]:
    parity = report.parity
    return {
        "model": f"{report.path}, {report.size_bytes / 1e6:.1f} MB, opset {report.opset}",
        "graph": f"{report.num_nodes} nodes, {report.num_parameters:,} parameters",
        "parity, before int8"
        if precision is Precision.int8
        else "parity": "not proved: no --reference of what MXNet computes (see `lifted reference`)"
        if parity is None
        else f"max |d| {parity.max_abs_error:.1e}, least cosine {parity.min_cosine:.7f}, "
        f"at batch sizes {', '.join(map(str, parity.batch_sizes))}, in {parity.engine}",
        "time": f"{report.seconds:.1f} s",
    }
