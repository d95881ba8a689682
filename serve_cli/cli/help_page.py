"""Pages of `--help`: usage, description, what is required, the usual options, then panels with a title.

Typer's own pages have up to six columns, which leave little room for the sentences on a terminal of 80 columns.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from typer.core import TyperArgument, TyperCommand

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text

REQUIRED, USUAL, GENERAL = "Required", "Options", "General"  # panels: the first two come first, the last one last
MAX_NAME = 30  # characters of the left column; what 80 columns leave for the sentences
MAX_WIDTH = 120  # characters; longer lines are hard to read
MARGIN = 2
MARK = 1  # characters of the column that marks what is required
UNBROKEN = re.compile(r"`[^`]{1,24}`|\[default: [^]]{1,16}\]")  # short commands and defaults stay on one line
SPACE_WITHIN = "\ue000"  # as wide as a space


class Command(TyperCommand):
    """A command whose `--help` and usage name what is required first."""

    def collect_usage_pieces(self, ctx: Any) -> list[str]:
        """Return the arguments and the required options, then ``[OPTIONS]``."""
        params = [param for param in self.get_params(ctx) if panel_of(param) == REQUIRED or is_argument(param)]
        pieces = [name_of(param) for param in params]
        required = [param.required or panel_of(param) == REQUIRED for param in params]
        return [
            *(piece if needed else f"[{piece}]" for piece, needed in zip(pieces, required, strict=True)),
            "[OPTIONS]",
        ]

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Print the page."""
        console = _console()
        _print_head(console, self, ctx)
        panels = panels_of(self, ctx)
        names = [name_of(param) for params in panels.values() for param in params]
        width = min(max(map(len, names)), MAX_NAME)
        for title, params in panels.items():
            rows = [(_styled_name(param), _sentence(param)) for param in params]
            _print_panel(console, title, rows, width, marked=title == REQUIRED)


def print_commands(group: Any, ctx: Any) -> None:
    """Print the page of a group: its commands under their titles, then its options."""
    from rich.text import Text

    console = _console()
    _print_head(console, group, ctx)
    commands = [group.get_command(ctx, name) for name in group.list_commands(ctx)]
    width = max(len(command.name) for command in commands)
    for title in dict.fromkeys(command.rich_help_panel for command in commands):
        shown = [command for command in commands if command.rich_help_panel == title]
        _print_panel(console, title, [(Text(each.name, "cyan"), Text(summary(each))) for each in shown], width)
    options = [(_styled_name(param), _sentence(param)) for param in group.get_params(ctx)]
    _print_panel(console, USUAL, options, max(len(name) for name, _ in options))


def summary(command: Any) -> str:
    """Return the first paragraph of a command's description, on one line."""
    return " ".join((command.help or "").split("\n\n")[0].split())


def panels_of(command: Any, ctx: Any) -> dict[str, list[Any]]:
    """Return the parameters of each panel, in reading order."""
    panels: dict[str, list[Any]] = {REQUIRED: [], USUAL: []}
    for param in command.get_params(ctx):
        if not getattr(param, "hidden", False):
            panels.setdefault(panel_of(param), []).append(param)
    panels[GENERAL] = panels.pop(GENERAL, [])
    return {title: params for title, params in panels.items() if params}


def panel_of(param: Any) -> str:
    """Return the title of a parameter's panel."""
    if param.required:
        return REQUIRED
    if "--help" in param.opts:
        return GENERAL
    return getattr(param, "rich_help_panel", None) or USUAL


def name_of(param: Any) -> str:
    """Return a parameter as users type it: ``MODEL.onnx``, ``--batch-size N``, ``-h, --help`` or ``--[no-]test``."""
    if is_argument(param):
        return str(param.metavar)
    if param.secondary_opts:
        return f"--[no-]{param.opts[0].removeprefix('--')}"
    names = ", ".join(sorted(param.opts, key=len))
    return names if param.is_flag or not param.metavar else f"{names} {param.metavar}"


def is_argument(param: Any) -> bool:
    """Return whether a parameter is positional."""
    return isinstance(param, TyperArgument)


def _console() -> Console:
    from rich.console import Console

    console = Console(highlight=False)
    console.width = min(console.width, MAX_WIDTH)
    return console


def _print_head(console: Console, command: Any, ctx: Any) -> None:
    """Print the usage and the description. Indented lines are kept, others are joined and wrapped."""
    from rich.text import Text

    console.print(Text(ctx.get_usage(), "bold"))
    for paragraph in (command.help or "").split("\n\n"):
        console.print()
        text = paragraph if paragraph.startswith(" ") else " ".join(paragraph.split())
        console.print(Text.from_markup(text))


def _print_panel(
    console: Console, title: str, rows: list[tuple[Text, Text]], width: int, *, marked: bool = False
) -> None:
    from rich.table import Table
    from rich.text import Text

    table = Table.grid(padding=(0, MARGIN, 0, 0))
    table.add_column(width=MARK, style="red")
    table.add_column(width=width, overflow="fold")
    table.add_column()
    left = MARK + width + 2 * MARGIN
    for name, sentence in rows:
        table.add_row("*" if marked else "", name, _wrapped(console, sentence, console.width - left))
    console.print()
    console.print(Text(title, "bold"))
    console.print(table)


def _wrapped(console: Console, sentence: Text, width: int) -> Text:
    """Break a sentence into lines, but not within a short command or default."""
    from rich.text import Text

    joined = sentence.copy()
    joined.plain = UNBROKEN.sub(lambda match: match[0].replace(" ", SPACE_WITHIN), sentence.plain)
    lines = joined.wrap(console, width)
    for line in lines:
        line.plain = line.plain.replace(SPACE_WITHIN, " ").rstrip()
    return Text("\n").join(lines)


def _styled_name(param: Any) -> Text:
    from rich.text import Text

    name, _, metavar = name_of(param).partition(" " if param.metavar and not is_argument(param) else "\0")
    return Text.assemble((name, "cyan"), f" {metavar}" if metavar else "")


def _sentence(param: Any) -> Text:
    """Return what a parameter does, and its default."""
    from rich.text import Text

    default = _default(param)
    return Text.assemble(param.help or "", (f" [default: {default}]", "dim") if default else "")


def _default(param: Any) -> str:
    """Return a default as the user types it, or an empty string if there is none or the option is off."""
    shown, value = getattr(param, "show_default", True), param.default
    if isinstance(shown, str):
        return shown
    if not shown or not isinstance(value, (str, int, float, Path)) or value is False:
        return ""
    if value is True:
        return str(param.opts[0])
    return f"{value:g}" if isinstance(value, float) else str(value)
