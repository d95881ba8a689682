"""Options that describe a network of others: its output, and the preprocessing that it was trained with."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from gluon_lifted.errors import ConfigError
from gluon_lifted.images.fits import FITS_HELP
from gluon_lifted.images.presets import PRESETS, preset

if TYPE_CHECKING:
    from gluon_lifted.images import Preprocessing

EMBED_WITH = "Any MXNet network, to embed with"
AS_PRESET = "as --preprocessing"

Preset = Annotated[
    str | None,
    typer.Option(
        "--preprocessing",
        help="Add a model card with this preprocessing: "
        f"{', '.join(f'{name} ({choice.help})' for name, choice in PRESETS.items())}. The options below change it.",
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
    str | None,
    typer.Option(
        "--fit",
        help=f"Make images square: {FITS_HELP}.",
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
    preset_name: str | None,
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
    options = (resize, fit, channels, mean, std, scale)
    if preset_name is None:
        if options.count(None) == len(options):
            return None
        if mean is None or (std is None and scale is None):
            raise typer.BadParameter("the card needs --preprocessing, or --mean with --std or --scale")
    if scale is not None and not scale > 0:
        raise typer.BadParameter(f"--scale is {scale:g}; expected a number above 0")
    if preset_name is not None and preset_name not in PRESETS:
        raise typer.BadParameter(f"--preprocessing is {preset_name!r}; choose one of {', '.join(PRESETS)}")
    usual = preset(preset_name or "raw", crop)
    red, green, blue = _triple("--std", std) or usual.std
    divisor = scale or 1.0
    try:
        return replace(
            usual,
            resize=resize or usual.resize,
            fit=fit or usual.fit,
            channels=channels.upper() if channels else usual.channels,
            mean=_triple("--mean", mean) or usual.mean,
            std=(red / divisor, green / divisor, blue / divisor),
        )
    except ConfigError as error:
        raise typer.BadParameter(str(error)) from None


def _triple(option: str, text: str | None) -> tuple[float, float, float] | None:
    """Parse one number for all channels, or three."""
    if text is None:
        return None
    try:
        numbers = [float(number) for number in text.split(",")]
        red, green, blue = numbers * 3 if len(numbers) == 1 else numbers
    except ValueError:  # no number, or neither one nor three
        message = f"{option} is {text!r}; expected one number, or three separated by commas"
        raise typer.BadParameter(message) from None
    return red, green, blue
