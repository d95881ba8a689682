"""Make the options of `lifted train` from the fields of `TrainConfig`, where each is declared."""

from __future__ import annotations

import inspect
from dataclasses import Field, fields
from functools import wraps
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gluon_lifted.config.train_config import TrainConfig, spelled

if TYPE_CHECKING:
    from collections.abc import Callable

ARGUMENT = "dataset"  # the field that is a positional argument


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
    kind = type(field.default) | None
    shown = _shown(field.default)
    help = field.metadata["help"] + (f" [dim]\\[default: {shown}][/dim]" if shown else "")
    if field.name == ARGUMENT:
        declared: Any = typer.Argument(metavar="DATASET", help=help)
    else:
        spelling = f"--{spelled(field.name)}"
        declared = typer.Option(
            f"{spelling}/--no-{spelled(field.name)}" if isinstance(field.default, bool) else spelling,
            help=help,
            rich_help_panel=field.metadata["panel"],
        )
    return inspect.Parameter(
        field.name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=Annotated[kind, declared]
    )


def _shown(default: object) -> str:
    """Return the default as --help shows it, or an empty string if it is off or empty."""
    return f"{default:g}" if isinstance(default, float) else str(default or "")
