"""The PostgreSQL type of a column, and the binary form of its values.

Binary forms are those of PostgreSQL's ``typsend`` functions (src/backend/utils/adt): integers and floats big-endian,
dates as days and times as microseconds since 2000-01-01.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from gluon_lifted.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from numpy.typing import NDArray

UNIX_TO_POSTGRES_DAYS = 10_957  # 1970-01-01 to 2000-01-01
UNIX_TO_POSTGRES_US = UNIX_TO_POSTGRES_DAYS * 86_400_000_000
ARRAY_HEADER = np.dtype([("dimensions", ">i4"), ("nulls", ">i4"), ("oid", ">u4"), ("size", ">i4"), ("first", ">i4")])


@dataclass(frozen=True)
class ColumnType:
    """A type of PostgreSQL.

    Parameters
    ----------
    sql : str
        Its name, e.g. ``"bigint"``.
    oid : int
        Its fixed object id (src/include/catalog/pg_type.dat).
    encode : callable
        Converts an Arrow array, (n,), to the binary forms of its values, an Arrow array of type binary, (n,). Nulls
        stay.
    """

    sql: str
    oid: int
    encode: Callable[[pa.Array], pa.Array]


def column_type(name: str, kind: pa.DataType) -> ColumnType:
    """Return the type that holds an Arrow column.

    Raises
    ------
    DataError
        If PostgreSQL has no such type.
    """
    if pa.types.is_dictionary(kind):
        decoded = column_type(name, kind.value_type)
        return ColumnType(decoded.sql, decoded.oid, lambda values: decoded.encode(values.dictionary_decode()))
    if pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind):
        element = _scalar_type(kind.value_type)
        if element is not None:
            return ColumnType(f"{element.sql}[]", 0, lambda values: _lists(values, element))
    scalar = _scalar_type(kind)
    if scalar is None:
        raise DataError(
            f"PostgreSQL cannot hold the column {name!r:.100} of type {str(kind)!s:.100}; expected text, numbers, "
            "times, or lists of these: leave it out by naming the others with --columns."
        )
    return scalar


def _scalar_type(kind: pa.DataType) -> ColumnType | None:
    """Return the type of a column without lists."""
    if pa.types.is_timestamp(kind):
        sql, oid = ("timestamptz", 1184) if kind.tz else ("timestamp", 1114)
        unit = pa.timestamp("us", kind.tz)
        return ColumnType(sql, oid, lambda values: _microseconds(values, unit, UNIX_TO_POSTGRES_US))
    return NUMBERS.get(kind) or next((chosen for matches, chosen in OTHERS if matches(kind)), None)


def fixed(values: pa.Array, numbers: NDArray[Any]) -> pa.Array:
    """Combine binary forms of equal size, (n,), with the nulls of ``values``, (n,)."""
    size, rows = numbers.dtype.itemsize, len(numbers)
    offsets = np.arange(0, (rows + 1) * size, size, dtype=np.int32)
    data = np.ascontiguousarray(numbers)
    array = pa.Array.from_buffers(pa.binary(), rows, [None, pa.py_buffer(offsets), pa.py_buffer(data)])
    return array if not values.null_count else pc.if_else(values.is_valid(), array, pa.scalar(None, pa.binary()))


def _number(wide: pa.DataType, sql_form: str) -> Callable[[pa.Array], pa.Array]:
    def encode(values: pa.Array) -> pa.Array:
        filled = values.cast(wide).fill_null(0)
        return fixed(values, filled.to_numpy(zero_copy_only=False).astype(sql_form))

    return encode


_SMALLINT = ColumnType("smallint", 21, _number(pa.int16(), ">i2"))
_INTEGER = ColumnType("integer", 23, _number(pa.int32(), ">i4"))
_BIGINT = ColumnType("bigint", 20, _number(pa.int64(), ">i8"))
_REAL = ColumnType("real", 700, _number(pa.float32(), ">f4"))
NUMBERS = {
    pa.bool_(): ColumnType("boolean", 16, _number(pa.uint8(), ">u1")),
    pa.int8(): _SMALLINT,
    pa.uint8(): _SMALLINT,
    pa.int16(): _SMALLINT,
    pa.uint16(): _INTEGER,
    pa.int32(): _INTEGER,
    pa.uint32(): _BIGINT,
    pa.int64(): _BIGINT,
    pa.uint64(): _BIGINT,  # a number above 2^63 is an error: PostgreSQL has no unsigned types
    pa.float16(): _REAL,
    pa.float32(): _REAL,
    pa.float64(): ColumnType("double precision", 701, _number(pa.float64(), ">f8")),
}


def _texts(values: pa.Array) -> pa.Array:
    texts = values.cast(pa.string())
    if pc.any(pc.match_substring(texts, "\0")).as_py():
        raise DataError("a string has a NUL character; remove it from the source and embed again.")
    return texts.cast(pa.binary())


def _dates(values: pa.Array) -> pa.Array:
    days = values.cast(pa.date32()).cast(pa.int32()).fill_null(0).to_numpy(zero_copy_only=False)
    return fixed(values, (days - UNIX_TO_POSTGRES_DAYS).astype(">i4"))


def _microseconds(values: pa.Array, unit: pa.DataType, epoch: int) -> pa.Array:
    wide = values.cast(unit, safe=False) if str(values.type).startswith(("timestamp[ns", "time64[ns")) else values
    count = wide.cast(unit).cast(pa.int64()).fill_null(0).to_numpy(zero_copy_only=False)
    return fixed(values, (count - epoch).astype(">i8"))


def _decimals(values: pa.Array) -> pa.Array:
    from decimal import Decimal

    from psycopg.types.numeric import DecimalBinaryDumper

    dumper = DecimalBinaryDumper(Decimal)
    forms = [None if value is None else bytes(dumper.dump(value) or b"") for value in values.to_pylist()]
    return pa.array(forms, pa.binary())


_TEXT = ColumnType("text", 25, _texts)
_BYTEA = ColumnType("bytea", 17, lambda values: values.cast(pa.binary()))
OTHERS = (
    (pa.types.is_string, _TEXT),
    (pa.types.is_large_string, _TEXT),
    (pa.types.is_null, _TEXT),
    (pa.types.is_binary, _BYTEA),
    (pa.types.is_large_binary, _BYTEA),
    (pa.types.is_fixed_size_binary, _BYTEA),
    (pa.types.is_date, ColumnType("date", 1082, _dates)),
    (pa.types.is_time, ColumnType("time", 1083, lambda values: _microseconds(values, pa.time64("us"), 0))),
    (pa.types.is_decimal, ColumnType("numeric", 1700, _decimals)),
)


def _lists(values: pa.Array, element: ColumnType) -> pa.Array:
    """Encode lists as one-dimensional arrays: a header, then length and value of each element."""
    lists = values.cast(pa.list_(values.type.value_type))
    sizes = pc.list_value_length(lists).fill_null(0).to_numpy(zero_copy_only=False)
    header = np.zeros(len(lists), ARRAY_HEADER)
    header["dimensions"], header["nulls"], header["oid"], header["size"], header["first"] = 1, 1, element.oid, sizes, 1
    elements = with_lengths(element.encode(lists.flatten()))
    bounds = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int32)
    grouped = pa.ListArray.from_arrays(pa.array(bounds), elements)
    full = pc.binary_join_element_wise(fixed(lists, header), pc.binary_join(grouped, b""), b"")
    empty = np.zeros(1, ARRAY_HEADER)
    empty["oid"] = element.oid
    none = pa.scalar(empty.tobytes()[:12], pa.binary())  # an array without dimensions
    return pc.if_else(pc.and_(lists.is_valid(), pa.array(sizes == 0)), none, full)


def with_lengths(values: pa.Array) -> pa.Array:
    """Put its length before each binary form, as COPY and arrays expect. Null has length -1."""
    lengths = pc.binary_length(values).fill_null(-1).to_numpy(zero_copy_only=False).astype(">i4")
    return pc.binary_join_element_wise(fixed(pa.nulls(0), lengths), values.fill_null(b""), b"")
