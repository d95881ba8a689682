"""`lifted card`: show the model card of an ONNX file, add one to a file from another program, or correct it."""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gluon_lifted.errors import RunError
from serve_cli.cli.console import print_facts, print_json, say
from serve_cli.cli.network_options import (
    MODEL_CARD,
    CardFile,
    Channels,
    Crop,
    Fit,
    Interpolation,
    Mean,
    Name,
    PreprocessingOptions,
    Preset,
    Resize,
    Scale,
    Std,
    given_card,
)
from serve_cli.cli.shared_options import Json

if TYPE_CHECKING:
    from export import OnnxFile
    from gluon_lifted.card import ModelCard
    from gluon_lifted.images import Preprocessing

Model = Annotated[Path, typer.Argument(metavar="MODEL.onnx", help="Show the card of this ONNX file, or change it.")]
Output = Annotated[
    str | None,
    typer.Option(
        "--output",
        metavar="NAME",
        help="Take the embeddings from this output, or from an inner tensor.",
        show_default="the only output",
        rich_help_panel=MODEL_CARD,
    ),
]
Normalize = Annotated[
    bool, typer.Option("--normalize", help="Scale embeddings to unit length in the file.", rich_help_panel=MODEL_CARD)
]
Out = Annotated[
    Path | None, typer.Option("--out", metavar="FILE", help="Write to this file.", show_default="replace MODEL.onnx")
]


def card(
    model: Model,
    preprocessing: Preset = None,
    resize: Resize = None,
    fit: Fit = None,
    interpolation: Interpolation = None,
    channels: Channels = None,
    mean: Mean = None,
    std: Std = None,
    scale: Scale = None,
    card_file: CardFile = None,
    name: Name = None,
    crop: Crop = None,
    output: Output = None,
    normalize: Normalize = False,
    out: Out = None,
    as_json: Json = False,
) -> None:
    r"""Show the model card of an ONNX file, add one, or correct it.

    Without options, show the card. With options, add a card to a file that any
    program exported, such as PyTorch or mx2onnx, or correct the existing card.
    The input is renamed to "data", the output to "embedding". The command runs
    the changed network on single images and on batches, and writes it only if
    the embeddings are those of the original file.

    [bold]Examples[/bold]

      lifted card model.onnx

      lifted card resnet50.onnx --preprocessing imagenet --out model.onnx

      lifted card arcface.onnx --mean 127.5 --std 127.5 --normalize

      lifted card model.onnx --json > card.json

      lifted card model.onnx --card card.json
    """
    options = PreprocessingOptions(
        preset=preprocessing,
        resize=resize,
        fit=fit,
        interpolation=interpolation,
        channels=channels,
        mean=mean,
        std=std,
        scale=scale,
    )
    described = given_card(card_file, options, crop)
    if not (described or options.given() or name or crop or output or normalize):
        if out is not None:
            raise typer.BadParameter("--out needs a change to the card; add an option such as --preprocessing")
        _show(_card_of(model), as_json=as_json)
        return
    from export import EmbeddingNetwork, add_card, read_onnx

    file = read_onnx(model, output)
    described = described or _old_card(file, repair=preprocessing is not None)
    embedding = EmbeddingNetwork(
        preprocessing=_preprocessing(file, described, options, crop),
        name=name or (described.name if described else model.stem),
        normalize=normalize,
        described=described,
    )
    out = out or model
    written = add_card(file, out, embedding)
    if described and not as_json and (kept := _kept(options, described.preprocessing)):
        say(f"card: {kept}")
    _show(written, as_json=as_json, written=out)


def _kept(options: PreprocessingOptions, old: Preprocessing) -> str:
    """Say which of mean and std stays as it was if only the other one is given."""
    if options.preset or (options.mean is None) == (options.std is None and options.scale is None):
        return ""
    name, numbers = ("std", old.std) if options.mean else ("mean", old.mean)
    values = ",".join(f"{number:g}" for number in numbers)
    return f"{name} stays {values}, from the old card; to change it as well, give --{name}."


def _card_of(model: Path) -> ModelCard:
    from serve_cli.inspection import model_card

    return model_card(model)


def _old_card(file: OnnxFile, *, repair: bool) -> ModelCard | None:
    """Return the card in the file, if any; also None if it is damaged and ``repair`` is set."""
    try:
        return file.card()
    except RunError:
        if repair:
            return None
        raise


def _preprocessing(
    file: OnnxFile, described: ModelCard | None, options: PreprocessingOptions, crop: int | None
) -> Preprocessing:
    """Return the preprocessing of the card, with the options applied."""
    old = described.preprocessing if described else None
    side = crop or file.crop or (old.crop if old else None)
    if side is None:
        raise typer.BadParameter(f"{file.path} takes images of any size; choose a size with --crop")
    chosen = options.build(side, replace(old, crop=crop) if old and crop else old)
    if chosen is None:
        raise typer.BadParameter(
            f"{file.path} has no card yet; give the preprocessing of its images: --preprocessing, --mean with --std, "
            "or --card"
        )
    return chosen


def _show(shown: ModelCard, *, as_json: bool, written: Path | None = None) -> None:
    """Print a card, and the next step if it was written."""
    from serve_cli.inspection import card_facts

    if as_json:
        print_json(asdict(shown))
        return
    next_step = {"next": f"lifted embed {written} PHOTOS --out embeddings"} if written else {}
    print_facts(card_facts(shown) | shown.provenance | ({"model": str(written)} if written else {}) | next_step)
