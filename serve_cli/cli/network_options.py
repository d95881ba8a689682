"""Options that describe a network from elsewhere: its output, and the preprocessing that it was trained with."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from gluon_lifted.errors import ConfigError, RunError
from gluon_lifted.images.fits import FITS_HELP
from gluon_lifted.images.interpolations import INTERPOLATION_HELP
from gluon_lifted.images.presets import PRESETS, preset
from serve_cli.cli.input_options import ANY_NETWORK

if TYPE_CHECKING:
    from gluon_lifted.card import ModelCard
    from gluon_lifted.images import Preprocessing

MODEL_CARD = "Model card"  # title of a panel of --help
FROM_PRESET = "from --preprocessing, else from the card"

Preset = Annotated[
    str | None,
    typer.Option(
        "--preprocessing",
        metavar="NAME",
        help="Add a model card with this preprocessing: "
        f"{', '.join(f'{name} ({choice.help})' for name, choice in PRESETS.items())}. The options below change it.",
        rich_help_panel=MODEL_CARD,
    ),
]
Resize = Annotated[
    int | None,
    typer.Option(
        "--resize",
        metavar="N",
        min=1,
        max=4096,
        help="Resize images to a square of this side.",
        show_default=FROM_PRESET,
        rich_help_panel=MODEL_CARD,
    ),
]
Crop = Annotated[
    int | None,
    typer.Option(
        "--crop",
        metavar="N",
        min=1,
        max=4096,
        help="Feed images of this height and width, cut from the center.",
        show_default="size of the input",
        rich_help_panel=MODEL_CARD,
    ),
]
Fit = Annotated[
    str | None,
    typer.Option(
        "--fit",
        metavar="FIT",
        help=f"Make images square: {FITS_HELP}.",
        show_default=FROM_PRESET,
        rich_help_panel=MODEL_CARD,
    ),
]
Interpolation = Annotated[
    str | None,
    typer.Option(
        "--interpolation",
        metavar="NAME",
        help=f"Resize by: {INTERPOLATION_HELP}.",
        show_default=FROM_PRESET,
        rich_help_panel=MODEL_CARD,
    ),
]
Channels = Annotated[
    Literal["rgb", "bgr"] | None,
    typer.Option(
        "--channels",
        metavar="rgb|bgr",
        help="Feed the channels in this order.",
        show_default=FROM_PRESET,
        rich_help_panel=MODEL_CARD,
    ),
]
Mean = Annotated[
    str | None,
    typer.Option(
        "--mean",
        metavar="X,X,X",
        help="Subtract this from pixels of 0-255, per channel.",
        show_default=FROM_PRESET,
        rich_help_panel=MODEL_CARD,
    ),
]
Std = Annotated[
    str | None,
    typer.Option(
        "--std",
        metavar="X,X,X",
        help="Divide by this after --mean, per channel.",
        show_default=FROM_PRESET,
        rich_help_panel=MODEL_CARD,
    ),
]
Scale = Annotated[
    float | None,
    typer.Option(
        "--scale",
        metavar="X",
        help="Multiply by this after --mean and --std.",
        show_default="no scaling",
        rich_help_panel=MODEL_CARD,
    ),
]
CardFile = Annotated[
    Path | None,
    typer.Option(
        "--card",
        metavar="FILE",
        help="Copy the model card from this JSON file, as `lifted card MODEL --json` prints it.",
        rich_help_panel=MODEL_CARD,
    ),
]
Name = Annotated[
    str | None,
    typer.Option(
        "--name",
        metavar="NAME",
        help="Name the model.",
        show_default="from the card, else from the file",
        rich_help_panel=MODEL_CARD,
    ),
]
Output = Annotated[
    str | None,
    typer.Option(
        "--output",
        metavar="NODE",
        help="Cut the network at this node, such as fc1 before a margin loss.",
        show_default="all outputs",
        rich_help_panel=ANY_NETWORK,
    ),
]


@dataclass(frozen=True, kw_only=True)
class PreprocessingOptions:
    """The options above that describe preprocessing. None means not given."""

    preset: str | None = None
    resize: int | None = None
    fit: str | None = None
    interpolation: str | None = None
    channels: str | None = None
    mean: str | None = None
    std: str | None = None
    scale: float | None = None

    def given(self) -> list[str]:
        """Return the names of the given options, as on the command line."""
        names = {field.name: f"--{'preprocessing' if field.name == 'preset' else field.name}" for field in fields(self)}
        return [option for name, option in names.items() if getattr(self, name) is not None]

    def build(self, crop: int, base: Preprocessing | None = None) -> Preprocessing | None:
        """Build the preprocessing for input images of ``crop`` px, or return ``base`` if no option is given.

        Parameters
        ----------
        base : Preprocessing, optional
            The preprocessing to change if no preset is named.

        Raises
        ------
        typer.BadParameter
            If options are missing or contradict each other.
        """
        if not self.given():
            return base
        if self.preset is None and base is None and (self.mean is None or (self.std is None and self.scale is None)):
            raise typer.BadParameter("the card needs --preprocessing, or --mean with --std or --scale")
        if self.scale is not None and not self.scale > 0:
            raise typer.BadParameter(f"--scale is {self.scale:g}; expected a number above 0")
        if self.preset is not None and self.preset not in PRESETS:
            raise typer.BadParameter(f"--preprocessing is {self.preset!r}; choose one of {', '.join(PRESETS)}")
        usual = base if self.preset is None and base is not None else preset(self.preset or "raw", crop)
        divisor = self.scale or 1.0
        replaced = usual is base and self.scale is not None  # --scale takes the place of the old card's std
        red, green, blue = _triple("--std", self.std) or ((1.0, 1.0, 1.0) if replaced else usual.std)
        try:
            return replace(
                usual,
                resize=self.resize or usual.resize,
                fit=self.fit or usual.fit,
                interpolation=self.interpolation or usual.interpolation,
                channels=self.channels.upper() if self.channels else usual.channels,
                mean=_triple("--mean", self.mean) or usual.mean,
                std=(red / divisor, green / divisor, blue / divisor),
            )
        except ConfigError as error:
            raise typer.BadParameter(str(error)) from None


def given_card(path: Path | None, options: PreprocessingOptions, crop: int | None) -> ModelCard | None:
    """Read the file of ``--card``, if given.

    Raises
    ------
    typer.BadParameter
        If preprocessing options or ``--crop`` are given, too.
    RunError
        If the file cannot be read or is not a model card.
    """
    if path is None:
        return None
    given = [*options.given(), *(["--crop"] if crop else [])]
    if given:
        raise typer.BadParameter(f"--card describes the preprocessing; leave out {', '.join(given)}")
    from gluon_lifted.card import read_card

    try:
        return read_card(path)
    except RunError as error:
        raise RunError(f"{error} --card expects the JSON that `lifted card MODEL.onnx --json` prints.") from None


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
