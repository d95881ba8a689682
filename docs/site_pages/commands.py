"""The reference of `lifted`, from the declarations of its commands."""

import re
import textwrap
from itertools import groupby

import typer

from serve_cli.cli.main import app
from site_pages.tables import table

SPECIAL = re.compile(r"[\\<>\[\]*_$]")  # characters that Markdown may read
DESCRIBED = re.compile(r"default: \(([^()]*)\)")  # a default in words
DIM = re.compile(r"\[/?dim\]")
BOLD = re.compile(r"\\\[/?bold\\\]")  # as rich marks it, escaped


def commands_reference():
    """Write a section for each command, in the order of `lifted --help`."""
    group = typer.main.get_command(app)
    return "\n".join(_section(name, command) for name, command in group.commands.items())


def _section(name, command):
    with command.make_context(f"lifted {name}", [], resilient_parsing=True) as context:
        panels = {}
        for parameter in command.params:
            if record := parameter.get_help_record(context):
                panels.setdefault(_panel(parameter), []).append(_row(*record))
    parts = [f"## `lifted {name}`", _help_text(command.help or "")]
    parts += [f"**{panel}**\n\n{table(['name', 'meaning'], rows)}" for panel, rows in panels.items()]
    return "\n\n".join(parts) + "\n"


def _panel(parameter):
    kind = "Arguments" if parameter.param_type_name == "argument" else "Options"
    return getattr(parameter, "rich_help_panel", None) or kind


def _row(names, meaning):
    plain = DIM.sub("", meaning).replace(r"\[", "[")  # the default of an argument is marked up for rich
    plain = DESCRIBED.sub(r"default: \1", plain)
    return [f"`{' '.join(names.split())}`", _escaped(plain)]


def _escaped(text):
    """Turn prose of a help text into Markdown: bold, code in backticks, and nothing else."""
    parts = re.split(r"(`[^`]*`)", text)
    escaped = "".join(part if part.startswith("`") else SPECIAL.sub(r"\\\g<0>", part) for part in parts)
    return BOLD.sub("**", escaped)


def _help_text(text):
    """Turn a help text into Markdown: indented paragraphs are commands."""
    paragraphs = re.split(r"\n[ \t]*\n", textwrap.dedent(text).strip("\n"))
    grouped = ((is_code, "\n\n".join(group)) for is_code, group in groupby(paragraphs, _is_code))
    return "\n\n".join(f"```\n{textwrap.dedent(text)}\n```" if is_code else _escaped(text) for is_code, text in grouped)


def _is_code(paragraph):
    return all(line.startswith("  ") for line in paragraph.splitlines())
