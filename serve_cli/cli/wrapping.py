"""Wrap messages at spaces for a terminal, which itself breaks lines in the middle of a word."""

from __future__ import annotations

import re
import textwrap

INDENT = "  "
COMMAND = re.compile(r"`[^`]*`")
SPACE_OF_A_COMMAND = "\0"


def wrap_message(message: str, width: int) -> str:
    """Wrap each line of a message to ``width`` columns.

    Indented lines, commands in backticks and words that are too long stay whole, so that they can be copied.
    """
    return "\n".join(_wrap_line(line, width) for line in message.split("\n"))


def _wrap_line(line: str, width: int) -> str:
    if len(line) <= width or line.startswith(INDENT):
        return line
    joined = COMMAND.sub(lambda command: command[0].replace(" ", SPACE_OF_A_COMMAND), line)
    lines = textwrap.wrap(joined, width, subsequent_indent=INDENT, break_long_words=False, break_on_hyphens=False)
    return "\n".join(lines).replace(SPACE_OF_A_COMMAND, " ")
