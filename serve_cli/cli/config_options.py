"""Make the options of `lifted train` from the fields of `TrainConfig`, where each is declared."""

from __future__ import annotations

import inspect
from dataclasses import Field, fields
from functools import wraps
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gluon_lifted.config.train_config import TrainConfig, spelled
from serve_cli.cli.help_page import REQUIRED, USUAL

if TYPE_CHECKING:
    from collections.abc import Callable

ARGUMENT = "dataset"  # the field that is a positional argument
USUAL_FIELDS = ("resize", "crop", "backbone", "weights", "loss", "batch_size", "iterations", "learning_rate")
PANELS = {"data": REQUIRED, **dict.fromkeys(USUAL_FIELDS, USUAL)}  # else that of the field
METAVARS = {"data": "PATH", "mean_image": "FILE", "weights": "NAME|FILE"}  # else by type
METAVAR_OF_TYPE = {int: "N", float: "X", str: "NAME"}


def with_config_options(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command one option for each field of `TrainConfig`.

    The command takes ``given`` in their place: a dict from field to value, without the options left at their defaults,
    so that a recipe or a file can set those.
    """
    names = [field.name for field in fields(TrainConfig)]

    @wraps(command)
    def wrapped(**values: Any) -> None:
        given = {name: values.pop(name) for name in names}
        command(given={name: value for name, value in given.items() if value is not None}, **values)

    own = [
        parameter.replace(kind=parameter.KEYWORD_ONLY)
        for parameter in inspect.signature(command, eval_str=True).parameters.values()
        if parameter.name != "given"
    ]
    parameters = [*map(_parameter, fields(TrainConfig)), *own]
    wrapped.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]  # Typer reads it
    wrapped.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    return wrapped


def _parameter(field: Field[Any]) -> inspect.Parameter:
    kind, help, shown = type(field.default), field.metadata["help"], _shown(field) or False
    spelling = f"--{spelled(field.name)}"
    if field.name == ARGUMENT:
        declared: Any = typer.Argument(metavar="DATASET", help=help, show_default=shown)
    elif kind is bool:
        panel = field.metadata["panel"]
        declared = typer.Option(
            f"{spelling}/--no-{spelled(field.name)}", help=help, show_default=shown, rich_help_panel=panel
        )
    else:
        declared = typer.Option(
            spelling,
            metavar=METAVARS.get(field.name, METAVAR_OF_TYPE[kind]),
            help=help,
            show_default=shown,
            rich_help_panel=PANELS.get(field.name, field.metadata["panel"]),
        )
    return inspect.Parameter(
        field.name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=Annotated[kind | None, declared]
    )


def _shown(field: Field[Any]) -> str:
    """Return the default as --help shows it, e.g. ``0.1; 0 with --weights``. Empty if the field is off or empty."""
    default, otherwise = field.default, field.metadata["otherwise"]
    if isinstance(default, bool):
        usual = "on" if default else "off" if otherwise else ""
    else:
        usual = f"{default:g}" if isinstance(default, float) else str(default)
    return "; ".join(filter(None, (usual, otherwise)))
