"""Errors of a condition, with a caret below the position."""

from __future__ import annotations

import unicodedata

from gluon_lifted.errors import ConfigError

BEFORE, AFTER = 50, 25  # characters that are shown around the position


class ConditionError(ConfigError):
    """A condition cannot be parsed, or does not fit the columns.

    Parameters
    ----------
    text : str
        The condition.
    position : int
        Index of the character that is wrong; ``len(text)`` for the end.
    problem : str
        What was found there, and what was expected.

    Attributes
    ----------
    position, problem : int, str
        As given.
    caret : str
        The condition around the position, and a line with a caret below it.
    """

    def __init__(self, text: str, position: int, problem: str) -> None:
        super().__init__(f"--where, character {position + 1}: {problem}")
        self.position, self.problem = position, problem
        self.caret = _caret(text, position)
        self.__notes__ = [self.caret]  # Python 3.11 and later print it below the message


def _caret(text: str, position: int) -> str:
    start, end = max(0, position - BEFORE), position + AFTER
    left, right = _one_line(text[start:position]), _one_line(text[position:end])
    if start:
        left = "…" + left
    more = "…" if end < len(text) else ""
    return f"  {left}{right}{more}\n  {' ' * _width(left)}^"


def _one_line(text: str) -> str:
    return "".join(character if character.isprintable() else " " for character in text)


def _width(text: str) -> int:
    """Count the terminal columns of a text. Chinese characters take two, combining accents none."""
    wide = sum(unicodedata.east_asian_width(character) in "WF" for character in text)
    return len(text) + wide - sum(unicodedata.combining(character) > 0 for character in text)
