"""`lifted export`: translate a run folder, or any MXNet network, to an ONNX file."""

from __future__ import annotations

from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from export.choices import Precision
from gluon_lifted.contract import REFERENCE_FILE, SavedNetwork
from gluon_lifted.errors import RunError
from serve_cli.cli.console import print_facts, print_json, say
from serve_cli.cli.export_console import export_facts, next_step, weights_facts, weights_json
from serve_cli.cli.graph_options import KeepBatchNorm, Normalize, Opset, PlainOperators, Preprocess
from serve_cli.cli.input_options import ANY_NETWORK, Dtypes, Shapes, network_inputs
from serve_cli.cli.network_options import (
    CardFile,
    Channels,
    Crop,
    Fit,
    Interpolation,
    Mean,
    Name,
    Output,
    PreprocessingOptions,
    Preset,
    Resize,
    Scale,
    Std,
    given_card,
)
from serve_cli.cli.precision_options import (
    Calibration,
    Data,
    EvalOn,
    Force,
    ForDevice,
    MaxRecallDrop,
    RangeMethod,
    ToPrecision,
)
from serve_cli.cli.shared_options import Json, Tolerance
from serve_cli.path_kinds import kind_of, wrong_kind

if TYPE_CHECKING:
    from export import NetworkInputs, WeightsReport
    from gluon_lifted.card import ModelCard
    from gluon_lifted.images import Preprocessing
    from serve_cli.compress.export_reduced import ExportTo

USUAL_SIDE = 224  # of images, without --shape, --crop and --card

Run = Annotated[Path | None, typer.Argument(metavar="RUN", help="Export this run folder of `lifted train`.")]
Onnx = Annotated[Path | None, typer.Option("--onnx", metavar="FILE", help="Write the model to this file.")]
Weights = Annotated[
    Path | None,
    typer.Option(
        "--weights",
        metavar="FILE",
        help="Write the trained parameters to this .safetensors file, under the names of torchvision or timm if they "
        "have the same backbone, otherwise under MXNet's.",
    ),
]
Symbol = Annotated[
    Path | None,
    typer.Option(
        "--symbol",
        metavar="FILE",
        help="Export the network in this -symbol.json, not a RUN.",
        rich_help_panel=ANY_NETWORK,
    ),
]
Params = Annotated[
    Path | None,
    typer.Option(
        "--params",
        metavar="FILE",
        help="Read the network's parameters from this .params file.",
        rich_help_panel=ANY_NETWORK,
    ),
]
Reference = Annotated[
    Path | None,
    typer.Option(
        "--reference",
        metavar="FILE",
        help="Compare the model with MXNet's outputs in this .npz file of `lifted reference`.",
        rich_help_panel=ANY_NETWORK,
    ),
]


def export(
    run: Run = None,
    onnx: Onnx = None,
    weights: Weights = None,
    symbol: Symbol = None,
    params: Params = None,
    shape: Shapes = None,
    dtype: Dtypes = None,
    reference: Reference = None,
    output: Output = None,
    preprocessing: Preset = None,
    resize: Resize = None,
    crop: Crop = None,
    fit: Fit = None,
    interpolation: Interpolation = None,
    channels: Channels = None,
    mean: Mean = None,
    std: Std = None,
    scale: Scale = None,
    card: CardFile = None,
    name: Name = None,
    preprocess: Preprocess = "caller",
    normalize: Normalize = False,
    opset: Opset = 17,
    tolerance: Tolerance = None,
    plain_operators: PlainOperators = False,
    keep_batch_norm: KeepBatchNorm = False,
    precision: ToPrecision = "fp32",
    calibration: Calibration = None,
    calibration_method: RangeMethod = "minmax",
    device: ForDevice = "cpu",
    eval_on: EvalOn = None,
    data: Data = None,
    max_recall_drop: MaxRecallDrop = 0.5,
    force: Force = False,
    as_json: Json = False,
) -> None:
    r"""Translate a trained network to ONNX.

    Give a RUN, or the two files of any MXNet network with --symbol and --params.
    Write the model with --onnx, its parameters with --weights, or both. The
    command does not need MXNet.

    The file is written only if it passes ONNX's checker and strict shape
    inference. It is also compared with recorded outputs of MXNet at several batch
    sizes, if there are any. A RUN contains them. For other networks, record them
    with `lifted reference` and add --reference.

    [bold]Examples[/bold]

      lifted export runs/mine --onnx model.onnx

      lifted export runs/mine --onnx small.onnx \
        --precision int8 --calibration photos

      lifted export runs/mine --weights mine.safetensors

      lifted export --symbol net-symbol.json --params net-0000.params \
        --shape data:1,3,224,224 --onnx net.onnx

      lifted export --symbol r50-symbol.json --params r50-0000.params \
        --shape data:1,3,112,112 --output fc1 \
        --preprocessing insightface --onnx face.onnx

      lifted export --symbol net-symbol.json --params net-0000.params \
        --card card.json --onnx net.onnx
    """
    if onnx is None and weights is None:
        raise typer.BadParameter("the file to write is missing; give --onnx FILE, --weights FILE or both")
    _require_suffix("--onnx", onnx, ".onnx")
    _require_suffix("--weights", weights, ".safetensors")
    source = _source(run, symbol, params, output)
    if isinstance(source, Path) and kind_of(source) not in ("run", "folder"):
        raise RunError(wrong_kind(source, "run"))
    pixel_options = PreprocessingOptions(
        preset=preprocessing,
        resize=resize,
        fit=fit,
        interpolation=interpolation,
        channels=channels,
        mean=mean,
        std=std,
        scale=scale,
    )
    described = given_card(card, pixel_options, crop)
    side = crop or (described.preprocessing.crop if described else USUAL_SIDE)
    inputs = network_inputs(shape or [f"data:1,3,{side},{side}"], dtype)
    pixel_settings = described.preprocessing if described else pixel_options.build(crop or _side(inputs))
    if isinstance(source, SavedNetwork) and pixel_settings is None:
        _refuse_without_card(normalize=normalize, preprocess=preprocess, precision=precision)
    elif isinstance(source, Path) and (reference or pixel_settings):
        raise typer.BadParameter(
            "RUN contains its own reference and card; leave out --reference, --preprocessing and --card"
        )
    from export import ExportOptions

    options = ExportOptions(
        opset=opset,
        tolerance=tolerance,
        plain_operators=plain_operators,
        keep_batch_norm=keep_batch_norm,
        precision=precision,
        calibration=calibration,
        calibration_method=calibration_method,
    )
    if onnx is None:
        written = _write_weights(source, weights)
        print_json(weights_json(written)) if as_json else print_facts(weights_facts(written))
        return
    say(f"export: {run or symbol} to {onnx}")
    export_to = _exporter(
        source, inputs, reference, described, pixel_settings, name, pixels=preprocess == "graph", normalize=normalize
    )
    if precision == "fp32":
        report, comparison = export_to(onnx, options), None
    else:
        from serve_cli.compress.acceptance import AcceptanceCriteria
        from serve_cli.compress.export_reduced import export_reduced

        criteria = AcceptanceCriteria(
            dataset=eval_on, data=data, max_recall_drop=max_recall_drop, force=force, device=device
        )
        if isinstance(source, Path):
            reference = source / REFERENCE_FILE
        report, comparison = export_reduced(export_to, onnx, options, criteria, reference)
    written = _write_weights(source, weights)
    if as_json:
        compared = {"comparison": asdict(comparison)} if comparison else {}
        print_json(asdict(report) | compared | weights_json(written))
        return
    facts = export_facts(report, precision) | (comparison.facts() if comparison else {}) | weights_facts(written)
    print_facts(facts | next_step(report, has_card=isinstance(source, Path) or pixel_settings is not None))


def _require_suffix(option: str, path: Path | None, suffix: str) -> None:
    """Raise `typer.BadParameter` if another kind of file would be written or replaced than the name says."""
    if path is not None and path.suffix != suffix:
        raise typer.BadParameter(f"{option} is {str(path)!r}; expected a name that ends in {suffix}")


def _side(inputs: NetworkInputs) -> int:
    """Return the width of the images; 1 if the last size is the batch."""
    size = next(iter(inputs.shapes.values()))[-1]
    return size if isinstance(size, int) else 1


def _exporter(
    source: Path | SavedNetwork,
    inputs: NetworkInputs,
    reference: Path | None,
    described: ModelCard | None,
    preprocessing: Preprocessing | None,
    name: str | None,
    *,
    pixels: bool,
    normalize: bool,
) -> ExportTo:
    """Return the function that exports the source to a path with options."""
    from export import EmbeddingNetwork, export_network, export_run

    if isinstance(source, Path):
        return partial(export_run, source, pixels=pixels, normalize=normalize)
    embedding = None
    if preprocessing is not None:
        usual = described.name if described else source.symbol.name.removesuffix(".json").removesuffix("-symbol")
        embedding = EmbeddingNetwork(
            preprocessing=preprocessing,
            name=name or usual,
            pixels=pixels,
            normalize=normalize,
            described=described,
        )
    return lambda onnx, options: export_network(source, inputs, onnx, options, reference=reference, embedding=embedding)


def _write_weights(source: Path | SavedNetwork, weights: Path | None) -> WeightsReport | None:
    if weights is None:
        return None
    from export import export_weights

    say(f"export: weights to {weights}")
    return export_weights(source, weights)


def _source(run: Path | None, symbol: Path | None, params: Path | None, output: str | None) -> Path | SavedNetwork:
    """Return the run folder, or the two files of a network."""
    if run is not None and symbol is None and params is None:
        return run
    if run is None and symbol is not None and params is not None:
        return SavedNetwork(symbol, params, output)
    given = {"--symbol": symbol, "--params": params}
    missing = [name for name, path in given.items() if path is None]
    if run is None and len(missing) == 1:
        raise typer.BadParameter(f"{missing[0]} is missing; a network of MXNet has both files, --symbol and --params")
    found = "found both" if run is not None else "found neither"
    raise typer.BadParameter(f"{found}; give either a RUN, or --symbol and --params")


def _refuse_without_card(*, normalize: bool, preprocess: str, precision: Precision) -> None:
    """Raise `typer.BadParameter` for options that need to know how images are preprocessed."""
    if normalize or preprocess == "graph":
        raise typer.BadParameter("--preprocess and --normalize need a model card; export a RUN, or add --preprocessing")
    if precision != "fp32":
        raise typer.BadParameter("--precision needs a model card; export a RUN, or add --preprocessing")
