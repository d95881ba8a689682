"""Values of every type of column arrive in PostgreSQL as they are."""

from __future__ import annotations

import datetime
from decimal import Decimal

import numpy as np
import pyarrow as pa
import pytest

pytest.importorskip("psycopg", reason="loading into PostgreSQL needs psycopg")

from gluon_lifted.errors import DataError
from serve_cli.retrieval.load.targets.postgres.copy_format import copy_stream
from serve_cli.retrieval.load.targets.postgres.types import column_type

DAY, NIGHT = datetime.date(1999, 12, 31), datetime.datetime(1969, 12, 31, 23, 59, 59, 999_999)
UTC = datetime.timezone.utc
COLUMNS = {
    "text": pa.array(["a", None, "ü "]),
    "large text": pa.array(["", "x", None], pa.large_string()),
    "words": pa.array(["u", None, "u"]).dictionary_encode(),
    "nothing": pa.nulls(3),
    "yes": pa.array([True, None, False]),
    "i8": pa.array([-128, None, 127], pa.int8()),
    "u8": pa.array([0, None, 255], pa.uint8()),
    "i16": pa.array([-(2**15), None, 2**15 - 1], pa.int16()),
    "u16": pa.array([0, None, 2**16 - 1], pa.uint16()),
    "i32": pa.array([-(2**31), None, 2**31 - 1], pa.int32()),
    "u32": pa.array([0, None, 2**32 - 1], pa.uint32()),
    "i64": pa.array([-(2**63), None, 2**63 - 1], pa.int64()),
    "u64": pa.array([0, None, 2**63 - 1], pa.uint64()),
    "f16": pa.array(np.array([1, -2.5, 65504], np.float16)),
    "f32": pa.array([1.5, None, float("-inf")], pa.float32()),
    "f64": pa.array([0.1, None, float("inf")], pa.float64()),
    "bytes": pa.array([b"\0\xff", None, b""]),
    "four": pa.array([b"abcd", None, b"\0\0\0\0"], pa.binary(4)),
    "date": pa.array([DAY, None, datetime.date(9999, 1, 2)]),
    "date64": pa.array([DAY, None, datetime.date(1, 1, 2)], pa.date64()),
    "time": pa.array([datetime.time(1, 2, 3), None, datetime.time(23, 59, 59)], pa.time32("s")),
    "time us": pa.array([datetime.time(1, 2, 3, 4), None, datetime.time(0)], pa.time64("us")),
    "moment": pa.array([NIGHT, None, datetime.datetime(2026, 1, 2)], pa.timestamp("us")),
    "moment s": pa.array([datetime.datetime(1, 2, 3), None, datetime.datetime(9999, 1, 2)], pa.timestamp("s")),
    "moment ns": pa.array([1_000, None, -1_000_000], pa.int64()).cast(pa.timestamp("ns")),
    "price": pa.array([Decimal("1.20"), None, Decimal("-12345678.99")], pa.decimal128(12, 2)),
    "tags": pa.array([["a", None, "b c"], None, []], pa.list_(pa.string())),
    "numbers": pa.array([[1, 2], [], [None]], pa.large_list(pa.int32())),
    "box": pa.array([[1.0, 2.0], None, [3.0, -4.0]], pa.list_(pa.float64(), 2)),
}


def expected(column, row):
    value = column[row].as_py()
    if isinstance(value, datetime.datetime):
        moment = getattr(value, "to_pydatetime", lambda: value)()
        return moment if moment.tzinfo is None else moment.astimezone(UTC)
    return value


@pytest.mark.parametrize("start", [0, 1])
def test_values_stay(sql, start):
    zoned = pa.array([-1, None, 10**12]).cast(pa.timestamp("ms", "Europe/Berlin"))
    table = pa.table({**COLUMNS, "zoned": zoned}).slice(start)
    types = {name: column_type(name, table[name].type) for name in table.column_names}
    definition = ", ".join(f'"{name}" {kind.sql}' for name, kind in types.items())
    sql.execute(f"CREATE TABLE t (embedding vector(2), {definition})")
    sql.execute("SET timezone = 'UTC'")
    vectors = np.array([[1, -2.5], [0, 1e-30], [3e38, 4]], np.float32)[start:]
    with sql.cursor() as cursor, cursor.copy("COPY t FROM STDIN (FORMAT binary)") as copy:
        for chunk in copy_stream(table, list(types.values()), vectors, "float32"):
            copy.write(chunk)
    cursor = sql.execute("SELECT *, embedding::real[] AS embedding FROM t", binary=True)
    names = [column.name for column in cursor.description]
    for row, values in enumerate(cursor.fetchall()):
        found = dict(zip(names, values, strict=True))
        assert np.array_equal(np.float32(found.pop("embedding")), vectors[row])
        for name, value in found.items():
            aware = isinstance(value, datetime.datetime) and value.tzinfo
            assert (value.astimezone(UTC) if aware else value) == expected(table[name], row), name


def test_wide_batches_are_cut(sql, monkeypatch):
    from serve_cli.retrieval.load.targets.postgres import copy_format

    monkeypatch.setattr(copy_format, "CHUNK_BYTES", 100)
    sql.execute("CREATE TABLE t (embedding halfvec(8), id text)")
    ids = [f"{row}" for row in range(11)]
    vectors = np.arange(88, dtype=np.float32).reshape(11, 8)
    stream = list(copy_stream(pa.table({"id": ids}), [column_type("id", pa.string())], vectors, "float16"))
    assert len(stream) == 5  # header, three pieces, trailer
    with sql.cursor() as cursor, cursor.copy("COPY t FROM STDIN (FORMAT binary)") as copy:
        for chunk in stream:
            copy.write(chunk)
    rows = sql.execute("SELECT id, embedding::real[] FROM t").fetchall()
    assert [row[0] for row in rows] == ids
    assert np.array_equal(np.array([row[1] for row in rows]), vectors)


@pytest.mark.parametrize(
    ("column", "message"),
    [
        (pa.array([{"a": 1}]), "cannot hold the column 'x' of type struct"),
        (pa.array([[[1]]]), "cannot hold the column 'x' of type list<"),
        (pa.array([1], pa.duration("s")), "cannot hold the column 'x' of type duration"),
        (pa.array(["a\0b"]), "'x' cannot be stored as text: a string has a NUL character"),
        (pa.array([["a\0b"]]), r"'x' cannot be stored as text\[\]: a string has a NUL"),
        (pa.array([2**63], pa.uint64()), "'x' cannot be stored as bigint: Integer value 9223372036854775808"),
        (pa.array([2**62], pa.int64()).cast(pa.timestamp("s")), "'x' cannot be stored as timestamp: Casting"),
    ],
)
def test_values_that_do_not_fit(column, message):
    def encode():
        kind = column_type("x", column.type)
        return list(copy_stream(pa.table({"x": column}), [kind], np.zeros((1, 2), np.float32), "float32"))

    with pytest.raises(DataError, match=message):
        encode()
