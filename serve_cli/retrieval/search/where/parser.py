"""Parse a condition by recursive descent, checking types against the columns, to an Arrow expression.

    condition   = conjunction {"or" conjunction}
    conjunction = negation {"and" negation}
    negation    = {"not"} (predicate | "(" condition ")")
    predicate   = operand comparison operand | column ["not"] "in" "(" literal {"," literal} ")"
                | column ["not"] "between" operand "and" operand | column ["not"] ("like" | "ilike") string
                | column "is" ["not"] "null" | column
    operand     = column | literal

Nulls follow SQL: a comparison with null is null, ``and``, ``or`` and ``not`` follow Kleene's logic, and rows that give
null are left out.
"""

from __future__ import annotations

from difflib import get_close_matches
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import types

from serve_cli.retrieval.search.where.condition_error import ConditionError
from serve_cli.retrieval.search.where.literals import (
    LiteralMismatchError,
    Operand,
    is_number,
    is_text,
)
from serve_cli.retrieval.search.where.tokens import COMPARISONS, Kind, Token, split_condition

if TYPE_CHECKING:
    from collections.abc import Sequence

MAX_DEPTH = 100
SHOWN_COLUMNS = 40
FLIPPED = {"<": ">", "<=": ">=", ">": "<", ">=": "<=", "=": "=", "<>": "<>"}
LITERALS = (Kind.number, Kind.string)


def parse_condition(text: str, schema: pa.Schema) -> pc.Expression:
    r"""Parse a condition on columns.

    Parameters
    ----------
    text : str
        Comparisons (``= == != <> < <= > >=``) of columns with numbers, ``'strings'``, ``true`` and ``false`` or other
        columns; ``in (...)``, ``between ... and ...``, ``is null``, ``like`` and ``ilike`` with ``%`` and ``_`` (``\``
        escapes them), all with ``not``; ``and``, ``or``, ``not`` and parentheses. A column whose name is not a plain
        word is written in double quotes. Dates and times are ISO strings. A number is rounded to the column's type
        first, so that ``price = 0.1`` matches a float32 column.
    schema : Schema
        The columns and their types.

    Raises
    ------
    ConditionError
        If the text is not a condition, names an unknown column, or compares values of different types.

    Examples
    --------
    >>> import pyarrow as pa
    >>> schema = pa.schema([("price", pa.int64()), ("brand", pa.string())])
    >>> parse_condition("price < 50 and brand in ('x', 'y')", schema)
    <pyarrow.compute.Expression ...>
    """
    parser = _Parser(text, schema)
    expression = parser.condition()
    if parser.token.kind is not Kind.end:
        raise parser.unexpected("and, or, or the end")
    try:
        schema.empty_table().filter(expression)
    except (pa.ArrowException, TypeError) as error:
        raise ConditionError(text, 0, f"the condition cannot be applied ({error!s:.200}).") from None
    return expression


class _Parser:
    """The tokens of a condition, and the position among them."""

    def __init__(self, text: str, schema: pa.Schema) -> None:
        self._text, self._schema = text, schema
        self._tokens, self._next, self._depth = split_condition(text), 0, 0

    @property
    def token(self) -> Token:
        return self._tokens[self._next]

    def condition(self) -> pc.Expression:
        terms = [self._conjunction()]
        while self._take("or"):
            terms.append(self._conjunction())
        return _joined(terms, "or")

    def unexpected(self, expected: str) -> ConditionError:
        return self._error(self.token, f"found {self.token}; expected {expected}.")

    def _conjunction(self) -> pc.Expression:
        terms = [self._negation()]
        while self._take("and"):
            terms.append(self._negation())
        return _joined(terms, "and")

    def _negation(self) -> pc.Expression:
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise self._error(self.token, f"more than {MAX_DEPTH} nested parentheses and not; expected fewer.")
        if self._take("not"):
            expression = ~self._negation()
        elif self._take("("):
            expression = self.condition()
            self._expect(")")
        else:
            expression = self._predicate()
        self._depth -= 1
        return expression

    def _predicate(self) -> pc.Expression:
        left = self._operand()
        if self.token.kind is Kind.sign and self.token.value in COMPARISONS:
            sign = self._advance()
            return self._compared(left, sign, self._operand())
        column = self._column(left)
        if self._take("is"):
            is_not = self._take("not")
            self._expect("null")
            return pc.field(column.name).is_valid() if is_not else pc.field(column.name).is_null()
        is_not = self._take("not")
        test = self._test(column, left)
        if test is not None:
            return ~test if is_not else test
        if is_not or not types.is_boolean(column.type):
            raise self.unexpected("in, between or like" if is_not else "a comparison, in, between, like or is")
        return column.expression

    def _test(self, column: Operand, left: Token) -> pc.Expression | None:
        """Parse ``in``, ``between`` or ``like`` of a column. Return None if another token follows."""
        if self._take("in"):
            return self._in(column)
        if self._take("between"):
            low = self._compared(left, Token(Kind.sign, ">=", left.position, "between"), self._operand())
            self._expect("and")
            return low & self._compared(left, Token(Kind.sign, "<=", left.position, "between"), self._operand())
        ignore_case = self.token.value == "ilike"
        if self._take("like") or self._take("ilike"):
            pattern = self._advance()
            if not is_text(column.type):
                raise self._error(left, f"{left} is {column.stored_type}; like takes a column of strings.")
            if pattern.kind is not Kind.string:
                raise self._error(pattern, f"found {pattern}; expected a pattern such as 'a%'.")
            return pc.match_like(column.expression, pattern.value, ignore_case=ignore_case)
        return None

    def _in(self, column: Operand) -> pc.Expression:
        self._expect("(")
        values: list[pa.Scalar] = []
        while not values or self._take(","):
            token = self.token
            values.append(self._literal(column, self._operand()))
            if types.is_integer(column.type) and types.is_floating(values[-1].type):
                raise self._error(
                    token, f"found {token}; expected a whole number, since the column has only whole numbers."
                )
        self._expect(")")
        if types.is_decimal(column.type):  # of different scales, which an array of scalars cannot have
            among = column.expression.isin(pa.array([value.as_py() for value in values]))
        else:
            among = column.expression.isin(pa.array(values, column.type))
        return pc.if_else(column.expression.is_valid(), among, pa.scalar(None, pa.bool_()))  # Arrow: null is not in

    def _compared(self, left: Token, sign: Token, right: Token) -> pc.Expression:
        if left.kind is not Kind.column and right.kind is not Kind.column:
            raise self._error(left, f"compares {left} with {right}; expected a column on one side.")
        if left.kind is not Kind.column:
            return self._compared(right, Token(sign.kind, FLIPPED[sign.value], sign.position, sign.source), left)
        column = self._column(left)
        if right.kind is Kind.column:
            return _compare(*self._two_columns(column, right), sign.value)
        literal = self._literal(column, right)
        if types.is_integer(column.type) and types.is_floating(literal.type):
            return _compare(column.expression.cast(pa.float64(), safe=False), literal, sign.value)
        if types.is_boolean(column.type) and sign.value not in ("=", "<>"):
            raise self._error(sign, f"found {sign.source!r}; expected = or <>, since {left} is true or false.")
        return _compare(column.expression, literal, sign.value)

    def _two_columns(self, column: Operand, token: Token) -> tuple[pc.Expression, pc.Expression]:
        other = self._column(token)
        for operand in (column, other):
            if operand.parse is None:
                raise self._error(
                    token, f'"{operand.name:.60}" is {operand.stored_type}, which has no order; expected is null.'
                )
        if column.type == other.type:
            return column.expression, other.expression
        if is_number(column.type) and is_number(other.type):
            return column.expression.cast(pa.float64(), safe=False), other.expression.cast(pa.float64(), safe=False)
        if is_text(column.type) and is_text(other.type):
            return column.expression.cast(pa.string()), other.expression.cast(pa.string())
        raise self._error(token, f"{token} is {other.stored_type}; expected {column.stored_type} to compare with.")

    def _literal(self, column: Operand, token: Token) -> pa.Scalar:
        if column.parse is None:
            raise self._error(
                token, f'"{column.name:.60}" is {column.stored_type}, which cannot be compared; expected is null.'
            )
        if token.value == "null" and token.kind is Kind.keyword:
            raise self._error(token, "found null, which is equal to nothing; write is null or is not null.")
        try:
            return column.parse(token)
        except LiteralMismatchError as expected:
            raise self._error(
                token, f'found {token}; expected {expected}, since "{column.name:.60}" is {column.stored_type}.'
            ) from None

    def _operand(self) -> Token:
        token = self.token
        is_value = token.kind is Kind.keyword and token.value in ("true", "false", "null")
        if token.kind is not Kind.column and token.kind not in LITERALS and not is_value:
            raise self.unexpected("a column or a value")
        return self._advance()

    def _column(self, token: Token) -> Operand:
        if token.kind is not Kind.column:
            raise self._error(token, f"found {token}; expected a column. {_columns(self._schema)}")
        if token.value in self._schema.names:
            return Operand(self._schema.field(token.value))
        close = get_close_matches(token.value[:100], self._schema.names, 1)
        advice = f' Did you mean "{close[0]:.60}"?' if close else ""
        if token.source.startswith('"') and not close:
            advice = " Write strings in single quotes."
        if not close and token.source.isidentifier():
            advice = f" If it is a text, write '{token.source:.60}'."
        raise self._error(token, f"{token} does not exist.{advice} {_columns(self._schema)}")

    def _advance(self) -> Token:
        token = self.token
        self._next = min(self._next + 1, len(self._tokens) - 1)
        return token

    def _take(self, word: str) -> bool:
        """Advance past a keyword or a sign if it is next."""
        is_next = self.token.value == word and self.token.kind in (Kind.keyword, Kind.sign)
        if is_next:
            self._advance()
        return is_next

    def _expect(self, word: str) -> None:
        if not self._take(word):
            raise self.unexpected(word)

    def _error(self, token: Token, problem: str) -> ConditionError:
        return ConditionError(self._text, token.position, problem)


def _joined(terms: Sequence[pc.Expression], word: str) -> pc.Expression:
    """Join terms pairwise: the expression's depth grows with the logarithm of their number."""
    while len(terms) > 1:
        pairs = [terms[start : start + 2] for start in range(0, len(terms), 2)]
        terms = [pair[0] if len(pair) == 1 else _join(pair[0], pair[1], word) for pair in pairs]
    return terms[0]


def _join(left: pc.Expression, right: pc.Expression, word: str) -> pc.Expression:
    return left & right if word == "and" else left | right


def _compare(left: pc.Expression, right: pc.Expression | pa.Scalar, sign: str) -> pc.Expression:
    compare = {
        "=": pc.equal,
        "<>": pc.not_equal,
        "<": pc.less,
        "<=": pc.less_equal,
        ">": pc.greater,
        ">=": pc.greater_equal,
    }
    return compare[sign](left, right)


def _columns(schema: pa.Schema) -> str:
    shown = ", ".join(f"{field.name:.60} ({field.type!s:.40})" for field in list(schema)[:SHOWN_COLUMNS])
    more = len(schema) - SHOWN_COLUMNS
    return f"Columns: {shown}{f' and {more} more' if more > 0 else ''}."
