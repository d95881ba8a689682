"""Options that describe a network of others: its output, and the preprocessing that it was trained with."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from gluon_lifted.errors import ConfigError

if TYPE_CHECKING:
    from gluon_lifted.images import Preprocessing

EMBED_WITH = "Any MXNet network, to embed with"
AS_PRESET = "as --preprocessing"
PresetName = Literal["imagenet", "gluoncv", "insightface", "caffe", "0-1", "raw"]

Preset = Annotated[
    PresetName | None,
    typer.Option(
        "--preprocessing",
        help="Add a model card with this preprocessing: imagenet or gluoncv (RGB, minus mean, by std), caffe (BGR, "
        "minus mean), 0-1, insightface or raw (RGB, 0-255). The options below change it.",
        rich_help_panel=EMBED_WITH,
    ),
]
Resize = Annotated[
    int | None,
    typer.Option(
        "--resize",
        min=1,
        max=4096,
        help="Resize images to a square of this side.",
        show_default=AS_PRESET,
        rich_help_panel=EMBED_WITH,
    ),
]
Fit = Annotated[
    Literal["stretch", "pad", "cover"] | None,
    typer.Option(
        "--fit",
        help="Make images square: stretch, pad with white, or cover (cut off the longer side).",
        show_default=AS_PRESET,
        rich_help_panel=EMBED_WITH,
    ),
]
Channels = Annotated[
    Literal["rgb", "bgr"] | None,
    typer.Option(
        "--channels", help="Feed the channels in this order.", show_default=AS_PRESET, rich_help_panel=EMBED_WITH
    ),
]
Mean = Annotated[
    str | None,
    typer.Option(
        "--mean",
        metavar="X,X,X",
        help="Subtract this from pixels of 0-255, per channel.",
        show_default=AS_PRESET,
        rich_help_panel=EMBED_WITH,
    ),
]
Std = Annotated[
    str | None,
    typer.Option(
        "--std", metavar="X,X,X", help="Then divide by this.", show_default=AS_PRESET, rich_help_panel=EMBED_WITH
    ),
]
Scale = Annotated[
    float | None,
    typer.Option("--scale", help="Then multiply by this.", show_default="1", rich_help_panel=EMBED_WITH),
]
Name = Annotated[
    str | None,
    typer.Option("--name", help="Name the model.", show_default="the symbol's file", rich_help_panel=EMBED_WITH),
]
Output = Annotated[
    str | None,
    typer.Option(
        "--output",
        metavar="NODE",
        help="Cut the network at this node, such as fc1 before a margin loss.",
        show_default="all outputs",
        rich_help_panel=EMBED_WITH,
    ),
]


def network_preprocessing(
    crop: int,
    preset_name: PresetName | None,
    *,
    resize: int | None,
    fit: str | None,
    channels: str | None,
    mean: str | None,
    std: str | None,
    scale: float | None,
) -> Preprocessing | None:
    """Build the preprocessing of a network with an input of ``crop`` px; None if no option describes it.

    Raises
    ------
    typer.BadParameter
        If too little is given, or the options do not fit together.
    """
    options = {
        "resize": resize,
        "fit": fit,
        "channels": channels and channels.upper(),
        "mean": _triple("--mean", mean),
        "std": _triple("--std", std),
    }
    given = {name: value for name, value in options.items() if value is not None}
    if preset_name is None:
        if not given and scale is None:
            return None
        if mean is None or (std is None and scale is None):
            raise typer.BadParameter("the card needs --preprocessing, or --mean with --std or --scale")
    from gluon_lifted.images.presets import preset

    try:
        preprocessing = replace(preset(preset_name or "raw", crop), **given)  # type: ignore[arg-type]
        red, green, blue = (value / (scale or 1) for value in preprocessing.std)
        return replace(preprocessing, std=(red, green, blue))
    except ConfigError as error:
        raise typer.BadParameter(str(error)) from None


def _triple(option: str, text: str | None) -> tuple[float, ...] | None:
    """Parse one number for all channels, or three."""
    if text is None:
        return None
    try:
        numbers = tuple(float(number) for number in text.split(","))
    except ValueError:
        numbers = ()
    if len(numbers) not in (1, 3):
        raise typer.BadParameter(f"{option} is {text!r}; expected one number, or three separated by commas")
    return numbers * (3 // len(numbers))
