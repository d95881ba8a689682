"""Split a condition into tokens."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum

from serve_cli.retrieval.search.where.condition_error import ConditionError

MAX_CHARACTERS = 10_000
KEYWORDS = frozenset("and or not in between is null like ilike true false".split())
COMPARISONS = {"=": "=", "==": "=", "!=": "<>", "<>": "<>", "<": "<", "<=": "<=", ">": ">", ">=": ">="}
TOKEN = re.compile(
    r"""\s*(?:
    (?P<number>[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?)(?!\w)
    | (?P<string>'(?:[^']|'')*')
    | (?P<quoted>"(?:[^"]|"")*")
    | (?P<name>[^\W\d]\w*)
    | (?P<sign><>|<=|>=|!=|==|[=<>(),])
    | (?P<end>\Z)
    )""",
    re.VERBOSE,
)


class Kind(Enum):
    """The kinds of tokens."""

    number = "number"
    string = "string"
    column = "column"
    keyword = "keyword"
    sign = "sign"
    end = "end"


@dataclass(frozen=True)
class Token:
    """A word, number, string or sign of a condition.

    Parameters
    ----------
    kind : Kind
        What it is.
    value : str
        A string or column without its quotes; a keyword in lower case; otherwise the characters.
    position : int
        Index of its first character.
    source : str
        The characters.
    """

    kind: Kind
    value: str
    position: int
    source: str

    def __str__(self) -> str:
        if self.kind is Kind.end:
            return "the end"
        return f"{self.kind.value} {self.source:.60}" if self.kind is not Kind.sign else f"{self.source!r}"


def split_condition(text: str) -> list[Token]:
    """Split a condition into tokens. The last one is the end. Raises `ConditionError`."""
    if len(text) > MAX_CHARACTERS:
        problem = f"the condition has {len(text):,} characters; expected at most {MAX_CHARACTERS:,}."
        raise ConditionError(text, MAX_CHARACTERS, problem)
    tokens: list[Token] = []
    position = 0
    while not tokens or tokens[-1].kind is not Kind.end:
        match = TOKEN.match(text, position)
        if match is None or match.lastgroup is None:
            raise _unknown(text, position)
        tokens.append(_token(match.lastgroup, match[match.lastgroup], match.start(match.lastgroup)))
        position = match.end()
    return tokens


def _token(group: str, source: str, position: int) -> Token:
    if group == "name" and source.lower() in KEYWORDS:
        return Token(Kind.keyword, source.lower(), position, source)
    if group == "name":
        return Token(Kind.column, source, position, source)
    if group == "quoted":
        return Token(Kind.column, source[1:-1].replace('""', '"'), position, source)
    if group == "string":
        return Token(Kind.string, source[1:-1].replace("''", "'"), position, source)
    return Token(Kind(group), COMPARISONS.get(source, source), position, source)


def _unknown(text: str, position: int) -> ConditionError:
    position += len(text[position:]) - len(text[position:].lstrip())
    character = text[position]
    if character in "'\"":
        return ConditionError(text, position, f"the quote {character} is not closed; double it inside quotes.")
    return ConditionError(
        text, position, f"found {character!r}; expected a column, number, 'string', comparison or parenthesis."
    )
