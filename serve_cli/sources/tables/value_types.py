"""Types of carried columns in files that have none: int64, float64 or bool where every value is one, else text.

A value must keep all its digits: ``00123``, ``+49`` and whole numbers of 20 digits are text, and so is the rest of
their column.
"""

from __future__ import annotations

import re
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pyarrow as pa

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

INT, FLOAT, BOOL = pa.int64(), pa.float64(), pa.bool_()
TYPES = (INT, FLOAT, BOOL)  # the first that fits all values of a column
INTEGER = re.compile(r"0|-?[1-9][0-9]{0,18}")
DECIMAL = re.compile(r"-?(?:(?:0|[1-9][0-9]*)(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]{1,3})?")
BOOLS = {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}
LONGEST = 40  # characters of a number
LEAST, MOST = -(1 << 63), (1 << 63) - 1


def text_fits(text: str, kind: pa.DataType) -> bool:
    """Whether a text can become a value of one of `TYPES` without losing digits."""
    if kind == BOOL:
        return text in BOOLS
    if len(text) > LONGEST:
        return False
    if kind == INT:
        return INTEGER.fullmatch(text) is not None and LEAST <= int(text) <= MOST
    return DECIMAL.fullmatch(text) is not None and Decimal(repr(float(text))) == Decimal(text)


def json_fits(value: Any, kind: pa.DataType) -> bool:
    """Whether a value of JSON can become a value of one of `TYPES`. Text in quotes stays text."""
    if isinstance(value, bool) or kind == BOOL:
        return isinstance(value, bool) and kind == BOOL
    if isinstance(value, int):
        return LEAST <= value <= MOST and (kind == INT or int(float(value)) == value)
    return isinstance(value, float) and kind == FLOAT


def to_type(value: Any, kind: pa.DataType) -> Any:
    """Convert a value that fits to a Python object of one of `TYPES`."""
    if kind == BOOL:
        return BOOLS[value] if isinstance(value, str) else value
    return int(value) if kind == INT else float(value)


def infer_types(
    rows: Iterable[Mapping[str, Any]], names: Iterable[str], fits: Callable[[Any, pa.DataType], bool]
) -> dict[str, pa.DataType]:
    """Find the columns of rows that are not text.

    Parameters
    ----------
    rows : iterable of mapping
        Values by column; None and ``""`` are missing. Reading stops once every column must be text.
    names : iterable of str
        The columns to decide on.
    fits : callable
        `text_fits` or `json_fits`.

    Returns
    -------
    dict of str to DataType
        One of `TYPES` for each column that has values and where all of them fit.
    """
    possible = dict.fromkeys(names, TYPES)
    filled = set[str]()
    for row in rows:
        for name, kinds in list(possible.items()):
            value = row.get(name)
            if value is None or value == "":
                continue
            filled.add(name)
            remaining = tuple(kind for kind in kinds if fits(value, kind))
            if not remaining:
                del possible[name]
            elif len(remaining) < len(kinds):
                possible[name] = remaining
        if not possible:
            break
    return {name: kinds[0] for name, kinds in possible.items() if name in filled}
