"""Write Typer's usage errors as sentences: what was found, what was expected, and the usage of the command.

Typer's own are drawn in a box, which breaks names and commands, and do not quote the value that was found.
"""

from __future__ import annotations

import re
from difflib import get_close_matches
from typing import Any

from serve_cli.cli.help_page import REQUIRED, is_argument, name_of, panel_of

UNKNOWN_OPTION = re.compile(r"No such option:? '?(?P<name>--?[^ ']*)")
UNKNOWN_COMMAND = re.compile(r"No such command '(?P<name>[^']*)'")
EXTRA_ARGUMENTS = re.compile(r"Got unexpected extra arguments?(?:\(s\))? \((?P<names>.*)\)", re.DOTALL)
NOT_ONE_OF = re.compile(r"'(?P<found>.*)' is not one of (?P<choices>.*?)\.?$", re.DOTALL)
EXPECTED = {  # of pydantic's error types, which Typer reports
    "int_parsing": "a whole number",
    "int_from_float": "a whole number",
    "float_parsing": "a number{unit}",
    "greater_than_equal": "{ge} or more",
    "less_than_equal": "at most {le}",
}
MOST_NAMES = 60  # characters of surplus arguments that are shown

UNITS = {"MB": " of megabytes", "SECONDS": " of seconds"}  # by metavar


def sentence(error: Any) -> str:
    """Return the error as one or two sentences."""
    message = " ".join(str(error.message).split())
    parameter = getattr(error, "param", None)
    if option := UNKNOWN_OPTION.match(message):
        return _unknown_option(option["name"], error.ctx)
    if command := UNKNOWN_COMMAND.match(message):
        return _unknown_command(command["name"], error.ctx)
    if extra := EXTRA_ARGUMENTS.match(message):
        return _extra(extra["names"], error.ctx)
    if type(error).__name__ == "MissingParameter" and parameter is not None:
        return f"{name_of(parameter)} is missing. {parameter.help}"
    hint = getattr(error, "param_hint", None) or _name(parameter)
    if parameter is not None and (expected := _expected(error, message)):
        return f"{hint} is {expected}."
    stop = "" if message.endswith((".", "?")) else "."
    return f"{hint}: {message}{stop}" if hint else f"{message}{stop}"


def usage(error: Any) -> str:
    """Return the usage of the called command and where to read more, or an empty string without a command."""
    context = getattr(error, "ctx", None)
    if context is None:
        return ""
    pieces = " ".join(context.command.collect_usage_pieces(context))
    return f"Usage: {context.command_path} {pieces}\nSee `{context.command_path} --help`."


def _name(parameter: Any) -> str:
    if parameter is None:
        return ""
    return name_of(parameter) if is_argument(parameter) else max(parameter.opts, key=len)


def _expected(error: Any, message: str) -> str:
    """Return ``'x'; expected ...``, or an empty string if the error does not say what was found."""
    if choice := NOT_ONE_OF.search(message):
        choices = re.findall(r"'([^']*)'", choice["choices"])
        return f"{choice['found']!r}; expected {_one_of(choices)}"
    cause = error.__cause__
    details = cause.errors() if hasattr(cause, "errors") else []
    if details and details[0]["type"] in EXPECTED:
        unit = UNITS.get(error.param.metavar, "")
        expected = EXPECTED[details[0]["type"]].format(unit=unit, **details[0].get("ctx", {}))
        return f"{details[0]['input']!r:.100}; expected {expected}"
    return ""


def _unknown_option(name: str, context: Any) -> str:
    options = [
        option for param in context.command.get_params(context) for option in (*param.opts, *param.secondary_opts)
    ]
    close = get_close_matches(name, [option for option in options if option.startswith("-")])
    return f"{context.command_path} has no option {name}.{_did_you_mean(close)}"


def _unknown_command(name: str, context: Any) -> str:
    commands = context.command.list_commands(context)
    if name == "help":
        return "lifted has no command 'help'. For a command's page, use `lifted COMMAND --help`."
    close = [command for command in commands if command.startswith(name) or name.startswith(command)]
    return f"lifted has no command {name!r}.{_did_you_mean(close or get_close_matches(name, commands))}"


def _extra(names: str, context: Any) -> str:
    """Return what the command takes and what was found as well; long lists, which the shell makes, are cut off."""
    params = context.command.get_params(context)
    arguments = [name_of(param) for param in params if is_argument(param)]
    taken = f"takes {' and '.join(arguments)} only" if arguments else "takes options only"
    found = names if len(names) <= MOST_NAMES else f"{names[:MOST_NAMES]}..."
    required = [name_of(param) for param in params if not is_argument(param) and panel_of(param) == REQUIRED]
    cure = ""
    if "PHOTOS" in arguments:
        cure = " Put a pattern such as 'photos/*.jpg' in quotes."
    elif required:
        cure = f" Options need their names: {' and '.join(required)}."
    return f"{context.command_path} {taken}; found {found!r} as well.{cure}"


def _did_you_mean(close: list[str]) -> str:
    return f" Did you mean {_one_of(close)}?" if close else ""


def _one_of(names: list[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} or {names[-1]}"
