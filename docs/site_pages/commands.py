"""The reference of `lifted`, from the declarations of its commands."""

import re
import textwrap

import typer

from serve_cli.cli.main import app
from site_pages.tables import table

BOLD = re.compile(r"\[/?bold\]")


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
    parts += [f"**{panel}**\n\n{table(['', ''], rows)}" for panel, rows in panels.items()]
    return "\n\n".join(parts) + "\n"


def _panel(parameter):
    kind = "Arguments" if parameter.param_type_name == "argument" else "Options"
    return getattr(parameter, "rich_help_panel", None) or kind


def _row(names, meaning):
    return [f"`{' '.join(names.split())}`", _escaped(meaning)]


def _escaped(text):
    """Keep a help text from being read as Markdown, except for code in backticks."""
    parts = re.split(r"(`[^`]*`)", BOLD.sub("", text))
    return "".join(part if part.startswith("`") else re.sub(r"([\\<>\[\]*_$])", r"\\\1", part) for part in parts)


def _help_text(text):
    """Turn a help text into Markdown: indented paragraphs are commands."""
    paragraphs = re.split(r"\n[ \t]*\n", textwrap.dedent(text).strip("\n"))
    return "\n\n".join(map(_paragraph, paragraphs))


def _paragraph(text):
    if all(line.startswith("  ") for line in text.splitlines()):
        return f"```\n{textwrap.dedent(text)}\n```"
    return f"**{BOLD.sub('', text)}**" if text.startswith("[bold]") else _escaped(text)
