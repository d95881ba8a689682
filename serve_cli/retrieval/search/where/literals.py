"""Literals of a condition -> Arrow scalars of the type that their column is compared as."""

from __future__ import annotations

from datetime import date, datetime, timezone
from decimal import Decimal
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import types

from serve_cli.retrieval.search.where.tokens import Kind, Token

if TYPE_CHECKING:
    from collections.abc import Callable

MAX_EXPONENT = 400  # beyond what float64 holds
MAX_DIGITS = 76  # Arrow's widest decimals


class LiteralMismatchError(Exception):
    """A literal does not fit its column. The message says what is expected."""


class Operand:
    """A column in a form that Arrow compares, and the type of its values.

    Parameters
    ----------
    field : Field
        The column.

    Attributes
    ----------
    type : DataType
        Type that literals get: narrow integers become int64, half floats float32, dictionaries their values.
    expression : Expression
        The column, cast to it.
    """

    def __init__(self, field: pa.Field) -> None:
        self.name, self.stored_type = field.name, field.type
        self.type = _compared_type(field.type)
        column = pc.field(field.name)
        self.expression = column if self.type == field.type else column.cast(self.type)

    @property
    def parse(self) -> Callable[[Token], pa.Scalar] | None:
        """Return the function that parses this column's literals, or None if its type cannot be compared."""
        for is_type, parse in _PARSERS:
            if is_type(self.type):
                return lambda token: parse(token, self.type)
        return None


def is_text(dtype: pa.DataType) -> bool:
    """Whether values of a type are text."""
    return bool(types.is_string(dtype) or types.is_large_string(dtype))


def is_number(dtype: pa.DataType) -> bool:
    """Whether values of a type are whole numbers, floats or decimals."""
    return bool(types.is_integer(dtype) or types.is_floating(dtype) or types.is_decimal(dtype))


def _compared_type(dtype: pa.DataType) -> pa.DataType:
    if types.is_dictionary(dtype):
        return _compared_type(dtype.value_type)
    if types.is_integer(dtype):
        return pa.uint64() if types.is_uint64(dtype) else pa.int64()
    if types.is_float16(dtype):
        return pa.float32()
    return pa.string() if str(dtype) == "string_view" else dtype


def _number(token: Token, expected: str) -> Decimal:
    if token.kind is not Kind.number:
        raise LiteralMismatchError(expected)
    number = Decimal(token.value)
    digits, exponent = number.as_tuple().digits, number.adjusted()
    if abs(exponent) > MAX_EXPONENT or len(digits) > MAX_DIGITS:
        raise LiteralMismatchError(f"{expected} of at most {MAX_DIGITS} digits, below 1e{MAX_EXPONENT}")
    return number


def _whole_number(token: Token, dtype: pa.DataType) -> pa.Scalar:
    """Parse a number for an integer column. One with a fraction becomes float64.

    Comparing with it in float64 is exact: a number with a fraction is below 2**52, where float64 holds all integers.
    """
    number = _number(token, "a number")
    if number != number.to_integral_value():
        return pa.scalar(float(number), pa.float64())
    try:
        return pa.scalar(int(number), dtype)
    except (pa.ArrowException, OverflowError):
        raise LiteralMismatchError(f"a number in the range of {dtype}") from None


def _float(token: Token, dtype: pa.DataType) -> pa.Scalar:
    return pa.scalar(float(_number(token, "a number")), pa.float64()).cast(dtype, safe=False)


def _decimal(token: Token, dtype: pa.DataType) -> pa.Scalar:
    try:
        return pa.scalar(_number(token, "a number"))
    except pa.ArrowException:
        raise LiteralMismatchError(f"a number that fits {dtype}") from None


def _string(token: Token, dtype: pa.DataType) -> pa.Scalar:
    if token.kind is not Kind.string:
        raise LiteralMismatchError(
            "a string such as 'x' (columns of a CSV file are strings; a parquet file has numbers)"
        )
    return pa.scalar(token.value, dtype)


def _truth(token: Token, dtype: pa.DataType) -> pa.Scalar:
    if token.value not in ("true", "false") or token.kind is not Kind.keyword:
        raise LiteralMismatchError("true or false")
    return pa.scalar(token.value == "true", dtype)


def _date(token: Token, dtype: pa.DataType) -> pa.Scalar:
    expected = "a date such as '2026-01-31'"
    if token.kind is not Kind.string:
        raise LiteralMismatchError(expected)
    try:
        return pa.scalar(date.fromisoformat(token.value), dtype)
    except ValueError:
        raise LiteralMismatchError(expected) from None


def _timestamp(token: Token, dtype: pa.DataType) -> pa.Scalar:
    """Parse an ISO time. Without an offset it is UTC for columns with a time zone. Other columns accept no offset."""
    expected = "a time such as '2026-01-31' or '2026-01-31 12:30:00'"
    if token.kind is not Kind.string:
        raise LiteralMismatchError(expected)
    text = token.value[:-1] + "+00:00" if token.value[-1:] in ("Z", "z") else token.value
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise LiteralMismatchError(expected) from None
    if moment.tzinfo is not None and dtype.tz is None:
        raise LiteralMismatchError(f"{expected}, without a time zone, since {dtype} has none")
    if moment.tzinfo is None and dtype.tz is not None:
        moment = moment.replace(tzinfo=timezone.utc)
    unit = dtype.unit if dtype.unit == "ns" or moment.microsecond == 0 else "us"
    try:
        return pa.scalar(moment, pa.timestamp(unit, dtype.tz))
    except (pa.ArrowException, OverflowError, ValueError):
        raise LiteralMismatchError(f"a time in the range of {dtype}") from None


_PARSERS: tuple[tuple[Callable[[pa.DataType], bool], Callable[[Token, pa.DataType], pa.Scalar]], ...] = (
    (types.is_integer, _whole_number),
    (types.is_floating, _float),
    (types.is_decimal, _decimal),
    (is_text, _string),
    (types.is_boolean, _truth),
    (types.is_date, _date),
    (types.is_timestamp, _timestamp),
)
